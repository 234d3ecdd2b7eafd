"""Similar rows, near duplicates and outliers, from files to a file."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from varjepa.errors import ConfigError
from varjepa.inference.model import TrainedModel
from varjepa.inference.vectors.compact import USUAL, require_size
from varjepa.inference.vectors.index import VectorIndex
from varjepa.inference.vectors.neighbours import SAME, near_duplicates, outliers, similar_rows
from varjepa.redaction import redacted_uri
from varjepa.tasks.answers.tables import SimilarAnswer
from varjepa.tasks.destinations.destination import destination
from varjepa.tasks.scoring.one_file import beside, source_batches
from varjepa.tasks.scoring.vector_index import TableIndex, table_index


@dataclass(frozen=True)
class Search:
    """A table to search, and where the answer goes.

    Attributes:
        table: file, folder, glob or URI.
        out: as for `score`.
        digest: of the model.
        size: numbers of a vector.
        index: folder to keep the index in; None for one of our own.
        keep: columns of the table to copy.
        batch_size: rows embedded at a time; 0 means as many as suit the model.
        force: replace `out`.
        append: add rows to the table `out`.
    """

    table: str
    out: str
    digest: str
    size: int = USUAL
    index: Path | None = None
    keep: tuple[str, ...] = ()
    batch_size: int = 0
    force: bool = False
    append: bool = False


def similar(model: TrainedModel, search: Search, query: str, *, k: int, leave_same: bool) -> SimilarAnswer:
    """Writes the nearest rows of the table for every row of `query`; returns a summary.

    Args:
        model: the model.
        search: table and destination.
        query: file, folder, glob or URI of the rows to look for.
        k: neighbours of each.
        leave_same: leave out rows that equal the query row.

    Raises:
        ConfigError: OUT cannot be written, or the size or the folder of the index is invalid.
        DataError: the rows cannot be read, or lack a column.
        ModelError: the model has no compact vectors.
    """
    started = time.perf_counter()
    table, first, same = _opened(model, search), 0, 0
    with destination(search.out, force=search.force, append=search.append) as writer:
        for frame in source_batches(model, query, search.batch_size):
            vectors = model.vectors(frame, search.size)
            found = similar_rows(table.index, vectors, k, leave_same=leave_same, first=first)
            writer.write(_with_kept(found, table.kept))
            first += frame.height
            same += found.filter((pl.col("rank") == 1) & (pl.col("distance") <= SAME)).height
        rows = writer.rows
    answer = _answer(search, table, rows, time.perf_counter() - started)
    return answer | {"queries": first, "same": same}


def duplicates(model: TrainedModel, search: Search, *, within: float) -> SimilarAnswer:
    """Writes pairs of rows of the table that hardly differ; returns a summary. Raises as `similar`."""
    return _listed(model, search, lambda index: near_duplicates(index, within))


def far_rows(model: TrainedModel, search: Search, *, top: int, k: int) -> SimilarAnswer:
    """Writes the rows of the table that are farthest from their neighbours; returns a summary. Raises as `similar`."""
    return _listed(model, search, lambda index: outliers(index, top, k))


def _opened(model: TrainedModel, search: Search) -> TableIndex:
    require_size(search.size)
    if search.index is not None and search.index.is_file():
        raise ConfigError(f"{search.index} is a file.", expected="--index names a folder.")
    return table_index(
        model, search.digest, search.table, size=search.size, folder=search.index, batch_size=search.batch_size,
        keep=search.keep,
    )  # fmt: skip


def _listed(model: TrainedModel, search: Search, rows_of: Callable[[VectorIndex], pl.DataFrame]) -> SimilarAnswer:
    """Writes a list of rows of the table itself."""
    started = time.perf_counter()
    table = _opened(model, search)
    found = rows_of(table.index)
    with destination(search.out, force=search.force, append=search.append) as writer:
        writer.write(_with_kept(found, table.kept))
    return _answer(search, table, found.height, time.perf_counter() - started)


def _with_kept(found: pl.DataFrame, kept: pl.DataFrame | None) -> pl.DataFrame:
    """Found rows with columns of the table beside: of `row`, and for pairs of `other`, too."""
    if kept is None:
        return found
    for name, prefix in (("row", ""), ("other", "other.")):
        if name in found.columns:
            cells = kept[found[name]]
            cells = pl.DataFrame([column.alias(f"{prefix}{column.name}") for column in cells])
            found = pl.concat([found, beside(cells, found.columns, warn=False)], how="horizontal")
    return found


def _answer(search: Search, table: TableIndex, rows: int, seconds: float) -> SimilarAnswer:
    return {
        "rows": rows, "table_rows": len(table.index.vectors), "out": redacted_uri(search.out),
        "index": str(table.folder), "reused": table.reused, "seconds": round(seconds, 2),
    }  # fmt: skip
