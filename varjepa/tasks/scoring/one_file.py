"""Scores, imputations and samples, for files of any size."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from varjepa.amounts import counted
from varjepa.data.names import free_names
from varjepa.data.read.left_out import by_reason
from varjepa.errors import listed
from varjepa.inference.column_groups import ARRAYS
from varjepa.inference.columns import as_json_text, require_groups, scored
from varjepa.inference.model import TrainedModel
from varjepa.redaction import redacted_uri
from varjepa.tasks.answers.tables import FileAnswer
from varjepa.tasks.destinations.destination import destination, holds_arrays, holds_structures
from varjepa.tasks.destinations.local_file import TableWriter
from varjepa.tasks.scoring.checks import kept_columns
from varjepa.tasks.scoring.stream import batches_of
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.glance import rows_at_hand
from varjepa.tasks.sources.open_table import opened_table
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.time_left import SHOW_EVERY, time_left

CELLS = 2**22
"""Numbers of embeddings held in memory. Rows per batch follow from it and the width of the model."""

LARGEST, SMALLEST = 32_768, 64


@dataclass(frozen=True)
class Request:
    """Source and destination of rows.

    Attributes:
        source: file, folder, glob or URI.
        out: Parquet or CSV file, or the URI of a file or table.
        keep: columns of the source to copy.
        batch_size: rows per batch; 0 means chosen by the size of the model.
        force: replace `out`.
        append: add rows to the table `out`.
        reading: query, parameters and version (at) of the source.
    """

    source: str
    out: str
    keep: tuple[str, ...] = ()
    batch_size: int = 0
    force: bool = False
    append: bool = False
    reading: Mapping[str, Any] = field(default_factory=dict)


class _Progress:
    """Logs the progress every `SHOW_EVERY` seconds, with the time left where the number of rows is known."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what, self.total, self.started, self.shown = what, total, time.perf_counter(), time.perf_counter()

    def log(self, rows: int) -> None:
        now = time.perf_counter()
        if now - self.shown > SHOW_EVERY:
            self.shown, speed = now, rows / (now - self.started)
            whole, left = "", ""
            if self.total is not None:
                whole, left = f" of {self.total:,}", f", {time_left((self.total - rows) / max(speed, 1e-9))}"
            log.info("%s%s rows %s, %s rows/s%s", f"{rows:,}", whole, self.what, f"{speed:,.0f}", left)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def batch_rows(model: TrainedModel, wanted: int) -> int:
    """Rows per batch: `wanted`, or with 0 as many as suit the width of the model."""
    width = model.preprocessor.sizes.n_features * model.network.d_hidden
    return wanted or max(SMALLEST, min(LARGEST, CELLS // width))


def source_batches(
    model: TrainedModel, source: str, batch_size: int = 0, reading: Mapping[str, Any] | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of a source, read with the settings of the model's own table.

    Args:
        model: the model.
        source: file, folder, glob or URI.
        batch_size: rows per batch; 0 means chosen by the size of the model.
        reading: query, parameters and version (at) of the source.
    """
    data = section_at(model.config.data, source, **(reading or {}))
    with opened_table(data, model.preprocessor.text) as opened:
        yield from batches_of(opened, data, batch_rows(model, batch_size))


def _batches(model: TrainedModel, request: Request) -> Iterator[pl.DataFrame]:
    return source_batches(model, request.source, request.batch_size, request.reading)


def _writer(request: Request) -> AbstractContextManager[TableWriter]:
    return destination(request.out, force=request.force, append=request.append)


def score(model: TrainedModel, request: Request, groups: tuple[str, ...]) -> FileAnswer:
    """Writes embedding, uncertainty, prediction and anomaly of every row; returns a summary.

    Args:
        model: the model.
        request: source and destination.
        groups: groups of columns, some of `GROUPS`.

    Raises:
        ConfigError: an unknown group, or OUT cannot be written.
        DataError: the rows cannot be read, or lack a column.
        ModelError: the model has no generator, but a group needs one.
    """
    require_groups(model, groups)
    groups = _writable(groups, request.out)
    accepted, progress = list[int](), _Progress("scored", rows_at_hand(request.source))
    with _writer(request) as writer:
        for frame in _batches(model, request):
            found = scored(model, frame, groups)
            found = found if holds_structures(request.out) else as_json_text(found)
            first = pl.DataFrame({"row": pl.Series(range(writer.rows, writer.rows + frame.height), dtype=pl.Int64)})
            kept = kept_columns(frame.lazy(), request.keep).collect()
            kept = beside(kept, ("row", *found.columns), warn=not writer.rows)
            writer.write(pl.concat([first, kept, found], how="horizontal"))
            if "accept" in found.columns:
                accepted.append(int(found["accept"].sum()))
            progress.log(writer.rows)
        rows = writer.rows
    answer = _answer(request, rows, progress)
    if accepted:
        answer["accepted"] = sum(accepted) / max(rows, 1)
    return answer


def _writable(groups: tuple[str, ...], out: str) -> tuple[str, ...]:
    """The groups that OUT can hold; a warning names the others."""
    arrays = [group for group in ARRAYS if group in groups]
    if not arrays or holds_arrays(out):
        return groups
    kind = "CSV" if out.endswith(".csv") else "This database"
    log.warning(
        "%s cannot hold arrays: the %s is left out. Write to a .parquet file to include it.", kind, " and ".join(arrays)
    )
    return tuple(group for group in groups if group not in arrays)


def beside(added: pl.DataFrame, taken: Iterable[str], *, warn: bool) -> pl.DataFrame:
    """The columns with other names where theirs are taken by columns beside them."""
    names = free_names(added.columns, taken)
    changed = [f'"{name}" is "{free}"' for name, free in names.items() if name != free]
    if changed and warn:
        log.warning("Names that occur twice are changed in the output: %s.", ", ".join(changed))
    return pl.DataFrame([cells.alias(free) for cells, free in zip(added, names.values(), strict=True)])


def _answer(request: Request, rows: int, progress: _Progress) -> FileAnswer:
    return {
        "rows": rows,
        "out": redacted_uri(request.out),
        "seconds": round(progress.seconds, 2),
        "rows_per_second": round(rows / max(progress.seconds, 1e-9)),
    }


def impute(model: TrainedModel, request: Request, *, draws: int, level: float, seed: int) -> FileAnswer:
    """Writes the table with missing cells filled; returns a summary.

    Without draws every row is written once, followed by `COLUMN.low`, `COLUMN.high` and `COLUMN.probability`. With
    draws it is written once per draw, numbered by the column `draw`.

    Raises:
        ConfigError: OUT cannot be written.
        DataError: the rows cannot be read, or lack a column.
        ModelError: the model has no generator.
    """
    imputer, filled, progress = (
        model.imputer(draws=draws, level=level, seed=seed),
        0,
        _Progress("imputed", rows_at_hand(request.source)),
    )
    # Columns that nothing is learned of keep their gaps.
    left = {name: 0 for name in model.preprocessor.undrawn if name not in model.preprocessor.order}
    with _writer(request) as writer:
        rows, start = 0, 0
        for frame in _batches(model, request):
            table = model.encode(frame)
            imputed = imputer.impute(frame, table)
            # Features that are made from a column are read, never written.
            filled += int((~table.observed)[:, model.preprocessor.own].sum())
            rows, start = rows + frame.height, rows
            for name in left.keys() & set(frame.columns):
                left[name] += frame[name].null_count()
            if not draws:
                bounds = _all_bounds(model, imputed.bounds, frame.height)
                named = beside(bounds, imputed.filled.columns, warn=not start)
                writer.write(pl.concat([imputed.filled, named], how="horizontal"))
            for number, drawn in enumerate(imputed.draws, start=1):
                index = pl.DataFrame({"draw": number, "row": range(start, rows)}, {"draw": pl.Int32, "row": pl.Int64})
                named = beside(index, drawn.columns, warn=number == 1 and not start)
                writer.write(pl.concat([named, drawn], how="horizontal"))
            progress.log(rows)
    for reason, names in by_reason(model.preprocessor.undrawn).items():
        if gaps := sum(left.get(name, 0) for name in names):
            log.info("%s left as they are, because %s: %s", counted(gaps, "gap"), reason,
                     listed(name for name in names if left.get(name)))  # fmt: skip
    return {**_answer(request, rows, progress), "cells": filled}


def _all_bounds(model: TrainedModel, bounds: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Bounds of every feature, also of those without missing cells here, so that all batches have the same columns."""
    columns, derived = list[tuple[str, pl.DataType]](), model.preprocessor.sources
    for feature in model.preprocessor.numeric:
        if feature.name in derived:
            continue
        columns += [(f"{feature.name}{end}", feature.bound_type) for end in (".low", ".high")]
    categories = (feature.name for feature in model.preprocessor.categorical if feature.name not in derived)
    columns += [(f"{name}.probability", pl.Float64()) for name in categories]
    return pl.DataFrame([
        bounds[name].cast(dtype) if name in bounds.columns else pl.Series(name, [None] * rows, dtype=dtype)
        for name, dtype in columns
    ])  # fmt: skip


def sample(model: TrainedModel, rows: int, request: Request, *, seed: int, gaps: bool) -> FileAnswer:
    """Writes new rows; returns a summary.

    Raises:
        ConfigError: OUT cannot be written.
        ModelError: the model has no generator.
    """
    progress = _Progress("drawn", rows)
    sampler = model.sampler(seed=seed, gaps=gaps)
    for reason, names in by_reason(model.preprocessor.undrawn).items():
        log.info("not drawn, because %s: %s", reason, listed(names))
    size = batch_rows(model, request.batch_size)
    with _writer(request) as writer:
        for start in range(0, max(rows, 1), size):
            writer.write(sampler.sample(min(size, rows - start)))
            progress.log(writer.rows)
    return _answer(request, rows, progress)
