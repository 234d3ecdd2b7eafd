"""Files in object stores: listed, told apart by their first bytes, scanned there or copied."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.config import DataSection
from varjepa.data.files.columnar import reader_of
from varjepa.data.files.found import keys_of, name_within
from varjepa.data.files.part import Part
from varjepa.data.files.union import united
from varjepa.data.read.sources import Source, open_path
from varjepa.errors import DataError
from varjepa.tasks.sources.bucket import Bucket, Object
from varjepa.tasks.sources.fingerprints import fingerprint_of
from varjepa.tasks.sources.found_table import FoundTable, Text

PARQUET = b"PAR1"
AT_ONCE = 16
"""Objects whose first bytes are read at the same time."""


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
    """Digest of tag and size of every object; names count only where there are several, or key=value folders."""
    named = len(objects) > 1 or any(keys_of(Path("/", item.key)) for item in objects)
    facts = [
        (name_within(Path("/", item.key)) if len(objects) == 1 else item.name) if named else "" for item in objects
    ]
    return fingerprint_of("objects", [(name, item.tag, item.size) for name, item in zip(facts, objects, strict=True)])


def _scan(bucket: Bucket, objects: Sequence[Object]) -> Source:
    """Parquet files, read where they lie, and put together like local ones."""

    def frame(items: list[Object]) -> pl.LazyFrame:
        places = [f"{bucket.root}/{item.key}" for item in items]
        return pl.scan_parquet(places, storage_options=bucket.scan_options(), glob=False, hive_partitioning=False)

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
    files = [bucket.copy(replace(item, name=_copy_name(item, at)), folder) for at, item in enumerate(objects)]
    return folder if len(files) > 1 else files[0]


def _copy_name(item: Object, number: int) -> str:
    """The name of a copy: in its key=value folders, which make columns; other folders would not be entered."""
    named = name_within(Path("/", item.key))
    folders, _, last = named.rpartition("/")
    return named if len(item.name) <= len(named) else f"{folders}/{number:06}-{last}".lstrip("/")
