"""Objects below one address: a folder of an object store, or a folder that several machines mount."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from varjepa.config.uris import scheme_of, without_scheme
from varjepa.tasks.sources.bucket import download, opened_store
from varjepa.tasks.sources.extras import required

PART = 8 * 2**20
"""Bytes of a part of an upload."""

CLOCK = "clock"
"""Folder of the objects whose times tell that of the store."""


@dataclass(frozen=True)
class Item:
    """An object.

    Attributes:
        key: its path below the place.
        size: bytes.
        changed: time of its last change, by the clock of the store.
    """

    key: str
    size: int
    changed: datetime


class Place:
    """The objects below an address.

    Args:
        uri: such as `s3://bucket/folder` or `file:///folder`; credentials come from the environment.

    Raises:
        SetupError: the library for it is not installed.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.obstore = required("obstore", "s3", f"{scheme_of(uri)}://")
        if scheme_of(uri) == "file":
            self.store: Any = self.obstore.store.LocalStore(
                without_scheme(self.uri), automatic_cleanup=True, mkdir=True
            )
        else:
            self.store = opened_store(self.uri)

    def create(self, key: str, content: bytes) -> bool:
        """Writes an object that does not exist yet; of several who try, exactly one succeeds."""
        try:
            self.obstore.put(self.store, key, content, mode="create", use_multipart=False)
        except self.obstore.exceptions.AlreadyExistsError:
            return False
        return True

    def write(self, key: str, content: bytes | IO[bytes]) -> None:
        """Writes or replaces an object; large ones in parts, there only when all of them are."""
        self.obstore.put(self.store, key, content, chunk_size=PART)

    def read(self, key: str) -> bytes | None:
        """The content of an object; None if there is none."""
        try:
            return bytes(self.obstore.get(self.store, key).bytes())
        except FileNotFoundError:
            return None

    def download(self, key: str, size: int, file: Path) -> None:
        """Copies an object to a file; see `varjepa.tasks.sources.bucket.download`."""
        download(self.store, key, size, file)

    def item(self, key: str) -> Item | None:
        """An object without its content; None if there is none."""
        try:
            return _item(self.obstore.head(self.store, key))
        except FileNotFoundError:
            return None

    def items(self, folder: str = "") -> list[Item]:
        """All objects of a folder, also in folders within it, sorted by their keys."""
        items = [_item(meta) for batch in self.obstore.list(self.store, folder or None) for meta in batch]
        return sorted(items, key=lambda item: item.key)

    def folders(self) -> list[str]:
        """Names of the folders directly below the place."""
        return sorted(self.obstore.list_with_delimiter(self.store)["common_prefixes"])

    def move(self, key: str, to: str) -> None:
        """Gives an object another key, without a way through this machine."""
        self.obstore.copy(self.store, key, to)
        self.delete([key])

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; those that are gone already do not matter."""
        for key in keys:
            try:
                self.obstore.delete(self.store, key)
            except FileNotFoundError:
                continue

    def now(self) -> datetime:
        """The time by the clock of the store, which all machines share."""
        key = f"{CLOCK}/{uuid4().hex}"
        self.write(key, b"")
        item = self.item(key)
        self.delete([key])
        if item is None:
            raise ConnectionError(f"{self.uri} does not keep what is written to it")
        return item.changed


def _item(meta: Any) -> Item:
    return Item(meta["path"], int(meta["size"]), meta["last_modified"])
