"""Partitions of a Parquet file: which rows they hold, and the work on a single partition."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from varjepa.config import SplitSection

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from polars import LazyFrame

    from varjepa.data.encode.preprocessor import Preprocessor


@dataclass(frozen=True)
class Partition:
    """Some rows of a Parquet file.

    Attributes:
        clean: Parquet file of all rows; the address of an object for workers that have none of our folders.
        marks: Parquet file, or object, with the part of each and, for a split by hash, its cluster.
        start: first row.
        rows: number of rows.
    """

    clean: Path | str
    marks: Path | str
    start: int
    rows: int

    def raw(self) -> "LazyFrame":
        """The rows, unread."""
        return _scanned(self.clean).slice(self.start, self.rows)

    def table(self) -> "LazyFrame":
        """The rows without their numbers, unread."""
        from varjepa.data.read.sources import ROW

        return self.raw().drop(ROW, strict=False)

    def marked(self) -> "LazyFrame":
        """The rows with their marks as further columns, unread."""
        import polars as pl

        marks = _scanned(self.marks).slice(self.start, self.rows)
        return pl.concat([self.raw(), marks], how="horizontal")


def _scanned(place: Path | str) -> "LazyFrame":
    """The rows of a file or of an object, unread; of an object, only the row groups in question are ever read."""
    import polars as pl

    from varjepa.tasks.sources.credentials import storage_options

    if isinstance(place, Path):
        return pl.scan_parquet(place)
    return pl.scan_parquet(place, storage_options=storage_options(place), glob=False)


def partitions_of(clean: Path, marks: Path, rows: int) -> list[Partition]:
    """Partitions of about this many rows: whole row groups of the file, or pieces of larger ones."""
    from pyarrow.parquet import ParquetFile

    # Only the footer is read. Partitions that end with row groups read nothing twice.

    with ParquetFile(clean) as file:
        groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
    partitions, start, held = [], 0, 0
    for group in groups:
        if held and held + group > rows:
            partitions.append(Partition(clean, marks, start, held))
            start, held = start + held, 0
        held += group
        while held > rows:
            partitions.append(Partition(clean, marks, start, rows))
            start, held = start + rows, held - rows
    return [*partitions, Partition(clean, marks, start, held)] if held else partitions


def split_hashes(partition: Partition, split: SplitSection) -> "np.ndarray":
    """The hashes that decide the parts of a partition's rows, uint64 [n]."""
    import numpy as np

    from varjepa.data.read import splits

    return np.concatenate([np.zeros(0, dtype=np.uint64), *splits.split_hashes(partition.raw(), split)])


def write_marks(hashes: "Iterable[np.ndarray]", split: SplitSection, path: Path) -> dict[str, int]:
    """Writes part and cluster of each row into a Parquet file, one row group per piece; returns the rows per part.

    Args:
        hashes: of the rows, in pieces.
        split: by hash.
        path: of the file.

    Raises:
        DataError: too few rows, or an empty part.
    """
    from pyarrow.parquet import ParquetWriter

    from varjepa.data.read.splits import PART, hashed_marks, require_parts

    counts = Counter[str]()
    with ExitStack() as stack:
        writer = None
        for piece in hashes:
            marks = hashed_marks(piece, split)
            counts.update(dict(marks[PART].value_counts().iter_rows()))
            table = marks.to_arrow()
            # Hashes hardly repeat: only parts gain from a dictionary.
            writer = writer or stack.enter_context(ParquetWriter(path, table.schema, use_dictionary=[PART]))
            writer.write_table(table, row_group_size=max(1, table.num_rows))
    require_parts(counts, split)
    return dict(counts)


def training_rows(partition: Partition, seen: str) -> "LazyFrame":
    """The rows that preprocessing may use, without the columns that we added."""
    from varjepa.data.read.splits import learned_from

    return learned_from(partition.marked(), seen)


def write_encoded(marked: "LazyFrame", preprocessor: "Preprocessor", path: Path) -> None:
    """Encodes rows into a Parquet file, in bounded memory."""
    from varjepa.data.read.sources import ROW
    from varjepa.data.read.splits import CLUSTER, PART

    marks = [name for name in (ROW, PART, CLUSTER) if name in marked.collect_schema()]
    encoded = preprocessor.encode(marked, keep=marks, with_label=True)
    # 32-bit floats hardly compress, and slower compression takes longer than everything else here.
    encoded.sink_parquet(path, maintain_order=True, compression="snappy")


def encode(partition: Partition, preprocessor: Path, folder: Path) -> None:
    """Encodes a partition once into a file of `folder` that is named for its first row, and written atomically."""
    path = folder / file_name(partition)
    if not path.is_file():
        # A cluster may run a task again when it believes that a worker is lost, so each attempt has its own draft.
        draft = folder.with_name(f"{folder.name}-{uuid4().hex}")
        write_encoded(partition.marked(), _opened(preprocessor, preprocessor.stat().st_mtime_ns), draft)
        draft.replace(path)


def encode_elsewhere(partition: Partition, preprocessor: str, parts: str, draft: str) -> None:
    """Encodes a partition once into an object, on a machine that has none of our folders.

    Args:
        partition: of objects.
        preprocessor: as JSON.
        parts: address of the folder for files of the step.
        draft: folder within it.
    """
    from tempfile import TemporaryDirectory

    from varjepa.tasks.work_store.place import Place

    place, key = Place(parts), f"{draft}/{file_name(partition)}"
    if place.item(key) is not None:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / file_name(partition)
        write_encoded(partition.marked(), _read(preprocessor), path)
        with path.open("rb") as stream:
            place.write(key, stream)


def file_name(partition: Partition) -> str:
    """Name of the file with the encoded rows; names sort in the order of the rows."""
    return f"{partition.start:015}.parquet"


@lru_cache(maxsize=4)
def _read(preprocessor: str) -> "Preprocessor":
    from varjepa.data.encode.preprocessor import Preprocessor

    return Preprocessor.model_validate_json(preprocessor)


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int) -> "Preprocessor":  # the time of change is part of the cache's key
    from varjepa.data.encode.preprocessor import Preprocessor

    return Preprocessor.read(path)
