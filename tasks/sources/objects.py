"""Files in object stores: listed, told apart by their first bytes, scanned there or copied."""

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import translate
from glob import has_magic
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from tasks.sources.extras import required
from tasks.sources.fingerprints import fingerprint_of
from tasks.sources.found_table import FoundTable, Text
from varjepa.config import DataSection
from varjepa.config.uris import scheme_of, without_scheme
from varjepa.data.files.columnar import reader_of
from varjepa.data.files.found import is_entered, keys_of, tables_among
from varjepa.data.files.part import Part
from varjepa.data.files.union import united
from varjepa.data.read.sources import Source, open_path
from varjepa.errors import DataError

PARQUET = b"PAR1"
RETRIES = 3
RETRY_SECONDS = 20
AT_ONCE = 16
"""Objects whose first bytes are read at the same time."""

CHUNK = 8 * 2**20


@dataclass(frozen=True)
class Object:
    """One object.

    Attributes:
        key: its path in the bucket.
        name: its path relative to what was asked for.
        tag: its etag, or the time of its last change where a store has none.
        size: bytes.
    """

    key: str
    name: str
    tag: str
    size: int


class Bucket:
    """A bucket or container, opened with the credentials of the environment.

    Args:
        address: URI of an object, a folder or a glob in it.
    """

    def __init__(self, address: str) -> None:
        self.obstore = required("obstore", "s3", f"{scheme_of(address)}://")
        self.root, self.key = split_address(address)
        self.store = self._opened()

    def _opened(self) -> Any:
        options: dict[str, Any] = {"client_options": {"allow_http": _plain_http(), "timeout": timedelta(minutes=10)}}
        options["retry_config"] = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
        if (provider := _profile_credentials(self.root)) is not None:
            options["credential_provider"] = provider
        return self.obstore.store.from_url(self.root, **options)

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

    def copy(self, item: Object, folder: Path) -> Path:
        """Copies an object to `folder`; the file appears only when it is complete."""
        file = folder / item.name
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        with part.open("wb") as stream:
            for piece in self.obstore.get(self.store, item.key).stream(min_chunk_size=CHUNK):
                stream.write(piece)
        if part.stat().st_size != item.size:
            raise ConnectionError(f"the connection was closed before the end of {item.key}")
        part.replace(file)
        return file


def find_objects(address: str, data: DataSection, stage: Path, description: str) -> FoundTable:
    """The table in an object, a folder of objects or a glob.

    Raises:
        DataError: there is none, or Parquet is mixed with other formats.
    """
    bucket = Bucket(address)
    objects = bucket.objects()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parquet = [start == PARQUET for start in pool.map(bucket.first_bytes, objects)]
    if any(parquet) and not all(parquet):
        other = objects[parquet.index(False)]
        raise DataError(
            f"{description} mixes Parquet with other formats.",
            expected="Expected files of one format.",
            fix=f'Leave out "{other.name}", for example by a pattern: .../*.parquet.',
        )

    def opened(text: Text) -> Source:
        if all(parquet):
            return replace(_scan(bucket, objects), description=description).checked().spelled(data, text)
        place = _copied(bucket, objects, stage / "files")
        return replace(open_path(str(place), data, text), files=(), description=description)

    return FoundTable(description, lambda: fingerprint(objects), opened, lambda: fingerprint(bucket.objects()))


def fingerprint(objects: Sequence[Object]) -> str:
    """Digest of tag and size of every object; names count only where there are several."""
    several = len(objects) > 1
    return fingerprint_of("objects", [(item.name if several else "", item.tag, item.size) for item in objects])


def _scan(bucket: Bucket, objects: Sequence[Object]) -> Source:
    """Parquet files, read where they lie, and put together like local ones."""

    def frame(items: list[Object]) -> pl.LazyFrame:
        places = [f"{bucket.root}/{item.key}" for item in items]
        options = {**storage_options(bucket.root), "max_retries": RETRIES}
        return pl.scan_parquet(places, storage_options=options, glob=False, hive_partitioning=False)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        schemas = pool.map(lambda item: dict(frame([item]).collect_schema()), objects)
    parts = []
    layouts = [(keys_of(Path("/", item.key)), schema) for item, schema in zip(objects, schemas, strict=True)]
    for (keys, schema), run in groupby(zip(objects, layouts, strict=True), key=lambda pair: _hashable(*pair[1])):
        items = [item for item, _ in run]
        parts.append(Part(Path(items[0].name), dict(schema), reader_of(frame, items, dict(schema)), dict(keys)))
    rows, notes = united(parts, declared=True)
    return Source(rows, (), bucket.root, notes)


def _hashable(keys: Mapping[str, str | None], schema: Mapping[str, pl.DataType]) -> tuple[Any, Any]:
    return tuple(keys.items()), tuple(schema.items())


def _copied(bucket: Bucket, objects: Sequence[Object], folder: Path) -> Path:
    """Files of other formats, copied to be read like local ones: the file, or the folder of several."""
    files = [bucket.copy(item, folder) for item in objects]
    return folder if len(files) > 1 else files[0]


def _object(meta: Any, start: str) -> Object:
    key = meta["path"]
    tag = meta["e_tag"] or meta["last_modified"].isoformat()
    return Object(key, key.removeprefix(start).lstrip("/"), tag, meta["size"])


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


def storage_options(address: str) -> dict[str, str]:
    """Settings for Polars and Delta: the endpoint of the environment."""
    if scheme_of(address) not in ("s3", "s3a"):
        return {}
    options = {"aws_allow_http": "true"} if _plain_http() else {}
    if (server := endpoint()) is not None:
        options |= {"aws_endpoint_url": server, "aws_region": region()}
    return options


def endpoint() -> str | None:
    """Address of an object store that is not Amazon's, from the environment; None without one."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def region() -> str:
    """Region of the environment, or the usual one."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _plain_http() -> bool:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def _profile_credentials(root: str) -> Any:
    """Credentials of an AWS profile, which only boto3 reads; None where the environment holds some."""
    if scheme_of(root) not in ("s3", "s3a") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    if not (os.environ.get("AWS_PROFILE") or Path("~/.aws").expanduser().is_dir()):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    return Boto3CredentialProvider()
