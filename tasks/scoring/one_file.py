"""Scores, imputations and samples, for files of any size."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tasks.answers import FileAnswer
from tasks.destinations.destination import destination, holds_arrays
from tasks.destinations.local_file import TableWriter
from tasks.scoring.stream import batches_of
from tasks.sources.address import section_at
from tasks.sources.open_table import opened_table
from tasks.steps.log import log
from varjepa.config.uris import masked
from varjepa.data.cells import by_name
from varjepa.data.names import free_names
from varjepa.errors import ConfigError, DataError, ModelError, listed, nearest
from varjepa.inference.answer_columns import ON_REQUEST
from varjepa.inference.model import TrainedModel

GROUPS = ("embedding", "uncertainty", "prediction", "set", "probabilities", "anomaly", "oddity")
"""Groups of columns that `score` can write."""

CLASSES: tuple[ON_REQUEST, ...] = ("set", "probabilities")
"""Those that only models of classes have."""

CELLS = 2**22
"""Numbers of embeddings held in memory. Rows per batch follow from it and the width of the model."""

LARGEST, SMALLEST = 32_768, 64
SHOW_EVERY = 10.0
"""Seconds between progress messages."""


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
    """Logs the progress every `SHOW_EVERY` seconds."""

    def __init__(self, what: str) -> None:
        self.what, self.started, self.shown = what, time.perf_counter(), time.perf_counter()

    def log(self, rows: int) -> None:
        now = time.perf_counter()
        if now - self.shown > SHOW_EVERY:
            self.shown = now
            log.info("%s rows %s, %s rows/s", f"{rows:,}", self.what, f"{rows / (now - self.started):,.0f}")

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started


def batch_rows(model: TrainedModel, wanted: int) -> int:
    """Rows per batch: `wanted`, or with 0 as many as suit the width of the model."""
    width = model.preprocessor.sizes.n_features * model.network.d_hidden
    return wanted or max(SMALLEST, min(LARGEST, CELLS // width))


def _batches(model: TrainedModel, request: Request) -> Iterator[pl.DataFrame]:
    """The rows of the source, read with the settings of the model's own table."""
    data = section_at(model.config.data, request.source, **request.reading)
    with opened_table(data, model.preprocessor.text) as source:
        yield from batches_of(source, data, batch_rows(model, request.batch_size))


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
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        hint = nearest(unknown[0], GROUPS) or f"Choose from {listed(GROUPS)}."
        raise ConfigError(f'--columns names "{unknown[0]}", which is not a group of columns.', fix=hint)
    if model.generator is None and {"anomaly", "oddity"} & set(groups):
        raise ModelError(
            "The model has no generator, but anomaly and oddity need one.", fix="Leave them out of --columns."
        )
    _require_classes(model, groups)
    text = "embedding" in groups and not holds_arrays(request.out)
    if text:
        kind = "CSV" if request.out.endswith(".csv") else "This database"
        log.warning("%s cannot hold arrays: the embedding is left out. Write to a .parquet file to include it.", kind)
    accepted, progress = list[int](), _Progress("scored")
    with _writer(request) as writer:
        for frame in _batches(model, request):
            scored = _scored(model, frame, tuple(group for group in groups if not (text and group == "embedding")))
            first = pl.DataFrame({"row": pl.Series(range(writer.rows, writer.rows + frame.height), dtype=pl.Int64)})
            kept = _beside(_kept(frame, request.keep), ("row", *scored.columns), warn=not writer.rows)
            writer.write(pl.concat([first, kept, scored], how="horizontal"))
            if "accept" in scored.columns:
                accepted.append(int(scored["accept"].sum()))
            progress.log(writer.rows)
        rows = writer.rows
    answer = _answer(request, rows, progress)
    if accepted:
        answer["accepted"] = sum(accepted) / max(rows, 1)
    return answer


def _require_classes(model: TrainedModel, groups: tuple[str, ...]) -> None:
    """Checks that the model has the columns of classes that are asked for.

    Raises:
        ModelError: it has not.
    """
    asked, label = [group for group in CLASSES if group in groups], model.preprocessor.label
    if asked and (label is None or not label.classes):
        raise ModelError(
            f"The model predicts no classes, but --columns asks for {listed(asked)}.", fix="Leave it out of --columns."
        )
    if "set" in asked and model.sets is None:
        raise ModelError(
            "The model has no prediction sets.",
            expected="Expected one that varjepa retrain made with calibration rows.",
            fix="Retrain it with data.split.calibration above 0, or leave set out of --columns.",
        )  # fmt: skip


def _scored(model: TrainedModel, frame: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    wanted = {
        "embedding": ("embedding",),
        "uncertainty": ("uncertainty", "latent_uncertainty"),
        "prediction": ("prediction", "probability", "low", "high", "accept"),
        "set": ("set",),
        "anomaly": ("anomaly", "odd_columns"),
    }
    parts = []
    if set(groups) & {"embedding", "uncertainty", "prediction", *CLASSES}:
        predicted = model.predict(frame, also=[group for group in CLASSES if group in groups])
        wanted["probabilities"] = tuple(name for name in predicted.columns if name.startswith("probability."))
        names = [name for group in groups for name in wanted.get(group, ()) if name in predicted.columns]
        parts.append(predicted.select(by_name(names)))
    if set(groups) & {"anomaly", "oddity"}:
        odd = model.anomalies(frame)
        each = [name for name in odd.columns if name.startswith("oddity.")] if "oddity" in groups else []
        parts.append(odd.select([*(wanted["anomaly"] if "anomaly" in groups else ()), *each]))
    return pl.concat(parts, how="horizontal") if parts else pl.DataFrame()


def _kept(frame: pl.DataFrame, keep: tuple[str, ...]) -> pl.DataFrame:
    for name in keep:
        if name not in frame.columns:
            hint = nearest(name, frame.columns) or f"Columns: {listed(frame.columns, 20)}."
            raise DataError(f'--keep names "{name}", which is not a column.', fix=hint)
    return frame.select(by_name(keep))


def _beside(added: pl.DataFrame, taken: Iterable[str], *, warn: bool) -> pl.DataFrame:
    """The columns with other names where theirs are taken by columns beside them."""
    names = free_names(added.columns, taken)
    changed = [f'"{name}" is "{free}"' for name, free in names.items() if name != free]
    if changed and warn:
        log.warning("Names that occur twice are changed in the output: %s.", ", ".join(changed))
    return pl.DataFrame([cells.alias(free) for cells, free in zip(added, names.values(), strict=True)])


def _answer(request: Request, rows: int, progress: _Progress) -> FileAnswer:
    return {
        "rows": rows,
        "out": masked(request.out),
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
    imputer, filled, progress = model.imputer(draws=draws, level=level, seed=seed), 0, _Progress("imputed")
    with _writer(request) as writer:
        rows, start = 0, 0
        for frame in _batches(model, request):
            table = model.encode(frame)
            imputed = imputer.impute(frame, table)
            # Features that are made from a column are read, never written.
            filled += int((~table.observed)[:, model.preprocessor.own].sum())
            rows, start = rows + frame.height, rows
            if not draws:
                bounds = _all_bounds(model, imputed.bounds, frame.height)
                beside = _beside(bounds, imputed.filled.columns, warn=not start)
                writer.write(pl.concat([imputed.filled, beside], how="horizontal"))
            for number, drawn in enumerate(imputed.draws, start=1):
                index = pl.DataFrame({"draw": number, "row": range(start, rows)}, {"draw": pl.Int32, "row": pl.Int64})
                beside = _beside(index, drawn.columns, warn=number == 1 and not start)
                writer.write(pl.concat([beside, drawn], how="horizontal"))
            progress.log(rows)
    return {**_answer(request, rows, progress), "cells": filled}


def _all_bounds(model: TrainedModel, bounds: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Bounds of every feature, also of those without missing cells here, so that all batches have the same columns."""
    columns, derived = [], model.preprocessor.sources
    for feature in model.preprocessor.numeric:
        if feature.name in derived:
            continue
        for end in (".low", ".high"):
            dtype = pl.Date if feature.dtype == "Date" else pl.Datetime("us") if feature.kind == "date" else pl.Float64
            columns.append((f"{feature.name}{end}", dtype))
    categories = (feature.name for feature in model.preprocessor.categorical if feature.name not in derived)
    columns += [(f"{name}.probability", pl.Float64) for name in categories]
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
    progress = _Progress("drawn")
    sampler = model.sampler(seed=seed, gaps=gaps)
    size = batch_rows(model, request.batch_size)
    with _writer(request) as writer:
        for start in range(0, max(rows, 1), size):
            writer.write(sampler.sample(min(size, rows - start)))
            progress.log(writer.rows)
    return _answer(request, rows, progress)
