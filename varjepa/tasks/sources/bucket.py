"""Buckets of object stores: what lies in them, and copies of it."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import translate
from glob import has_magic
from pathlib import Path
from typing import Any

from varjepa.config.uris import scheme_of, without_scheme
from varjepa.data.files.found import is_entered, tables_among
from varjepa.errors import DataError
from varjepa.tasks.sources.credentials import plain_http, profile_credentials, storage_options
from varjepa.tasks.sources.extras import required

RETRIES = 3
RETRY_SECONDS = 20
CHUNK = 8 * 2**20


@dataclass(frozen=True)
class Object:
    """One object.

    Attributes:
        key: its path in the bucket.
        name: its path relative to what was asked for.
        tag: its etag, or the time of its last change where a store has none.
        size: bytes.
        changed: time of its last change.
    """

    key: str
    name: str
    tag: str
    size: int
    changed: datetime


class Bucket:
    """A bucket or container, opened with the credentials of the environment.

    Args:
        address: URI of an object, a folder or a glob in it.
    """

    def __init__(self, address: str) -> None:
        self.obstore = required("obstore", "s3", f"{scheme_of(address)}://")
        self.root, self.key = split_address(address)
        self.store = opened_store(self.root)

    def objects(self) -> list[Object]:
        """The objects that the address means, in the order of their keys.

        Raises:
            DataError: there are none.
        """
        if has_magic(self.key):
            start = re.split(r"[*?\[]", self.key)[0].rpartition("/")[0]
            pattern = re.compile(translate_glob(self.key))
            found = [_object(item, start) for item in self._listed(start) if pattern.match(item["path"])]
            found = [item for item in found if item.size]
        else:
            start = self.key.rstrip("/")
            single = None if self.key.endswith("/") or not start else self._head(start)
            if single is not None:
                return [_object(single, start.rpartition("/")[0])]
            found = tables_in([_object(item, start) for item in self._listed(start)])
        if not found:
            raise DataError(
                f"{self.root}/{self.key} holds no table.",
                fix="Check the path. Subfolders are entered if they are named key=value; for others give a glob.",
            )
        return sorted(found, key=lambda item: item.key)

    def holds(self, folder: str) -> bool:
        """Whether there is anything in a folder below the address."""
        return bool(self._listed(f"{self.key.rstrip('/')}/{folder}".lstrip("/"), most=1))

    def exists(self) -> bool:
        """Whether the address is an object."""
        return self._head(self.key) is not None

    def _listed(self, prefix: str, most: int | None = None) -> list[Any]:
        items: list[Any] = []
        for batch in self.obstore.list(self.store, prefix or None, chunk_size=most or 1000):
            items += batch
            if most is not None and items:
                break
        return items

    def _head(self, key: str) -> Any:
        try:
            return self.obstore.head(self.store, key)
        except FileNotFoundError:
            return None

    def first_bytes(self, item: Object) -> bytes:
        """The first four bytes of an object."""
        return bytes(self.obstore.get_range(self.store, item.key, start=0, length=min(4, item.size)))

    def scan_options(self) -> dict[str, Any]:
        """Settings with which Polars reads objects of this bucket."""
        return {**storage_options(self.root), "max_retries": RETRIES}

    def copy(self, item: Object, folder: Path) -> Path:
        """Copies an object to `folder`; the file appears only when it is complete."""
        file = folder / item.name
        download(self.store, item.key, item.size, file)
        return file


def opened_store(url: str) -> Any:
    """The store at an address, opened with the credentials of the environment, that tries again a few times.

    Raises:
        SetupError: the library for it is not installed.
    """
    obstore = required("obstore", "s3", f"{scheme_of(url)}://")
    options: dict[str, Any] = {"client_options": {"allow_http": plain_http(), "timeout": timedelta(minutes=10)}}
    options["retry_config"] = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    if (provider := profile_credentials(url)) is not None:
        options["credential_provider"] = provider
    return obstore.store.from_url(url, **options)


def download(store: Any, key: str, size: int, file: Path) -> None:
    """Copies an object to a file, which appears only when it is complete.

    Raises:
        FileNotFoundError: there is no such object.
        ConnectionError: it has another size.
    """
    import obstore

    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    if isinstance(store, obstore.store.LocalStore) and store.prefix is not None:
        # The library would read a file of this machine in small pieces, for twenty times the processor time.
        shutil.copyfile(Path(store.prefix) / key, part)
    else:
        with part.open("wb") as stream:
            for piece in obstore.get(store, key).stream(min_chunk_size=CHUNK):
                stream.write(piece)
    if part.stat().st_size != size:
        raise ConnectionError(f"the connection was closed before the end of {key}")
    part.replace(file)


def _object(meta: Any, start: str) -> Object:
    key = meta["path"]
    tag = meta["e_tag"] or meta["last_modified"].isoformat()
    return Object(key, key.removeprefix(start).lstrip("/"), tag, meta["size"], meta["last_modified"])


def tables_in(objects: Sequence[Object]) -> list[Object]:
    """The objects of a folder that are parts of a table; see `varjepa.data.files.found`."""
    below = [item for item in objects if item.size and all(is_entered(part) for part in item.name.split("/")[:-1])]
    chosen = set(tables_among(Path(item.name) for item in below))
    return [item for item in below if Path(item.name) in chosen]


def split_address(address: str) -> tuple[str, str]:
    """The bucket with its scheme, and the key in it.

    Examples:
        >>> split_address("s3://bucket/people/2026.csv")
        ('s3://bucket', 'people/2026.csv')
    """
    bucket, _, key = without_scheme(address).partition("/")
    return f"{scheme_of(address)}://{bucket}", key


def translate_glob(pattern: str) -> str:
    """A regular expression for a glob: `*` stays within a folder, `**` does not.

    Examples:
        >>> bool(re.match(translate_glob("a/*.csv"), "a/b/c.csv"))
        False
    """
    parts = [".*" if part == "**" else translate(part)[4:-3].replace(".*", "[^/]*") for part in pattern.split("/")]
    return "/".join(parts).replace(".*/", "(?:.*/)?") + r"\Z"
