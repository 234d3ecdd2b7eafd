"""Imputations and samples as tables: encoded cells are decoded into their original columns."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.amounts import amount
from varjepa.data.cells import nameless
from varjepa.data.encode.features import NumericFeature
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import MISSING, TableTensors
from varjepa.errors import ConfigError, require_whole
from varjepa.inference.generator.table_generator import Draws, TableGenerator, batches
from varjepa.visible import html_table

LOW, HIGH, PROBABILITY = ".low", ".high", ".probability"
"""Suffixes of the columns with the uncertainty of an imputation."""


class Imputation(NamedTuple):
    """A table without gaps, and the uncertainty of its imputed cells.

    Attributes:
        filled: the table with gaps of feature columns filled: with the mean of a number, or the likeliest category.
        bounds: for every column with gaps, null where the cell was not missing: `COLUMN.low` and `COLUMN.high` of a
            number, `COLUMN.probability` of a category.
        draws: tables like `filled`, each with one joint draw in the gaps.
    """

    filled: pl.DataFrame
    bounds: pl.DataFrame
    draws: list[pl.DataFrame]

    def _repr_html_(self) -> str:
        """What was filled, per column, in a notebook."""
        lines = [_filled_line(self.bounds, name) for name in self.bounds.columns if not name.endswith(HIGH)]
        title = f"{self.filled.height:,} rows, columns with gaps: {len(lines)}, joint draws: {len(self.draws)}"
        return html_table(title, lines, ("column", "cells filled", "how sure, on average"))


def _filled_line(bounds: pl.DataFrame, name: str) -> tuple[str, str, str]:
    """A column with gaps, how many of its cells were filled, and how sure the model is of them."""
    cells = bounds[name]
    filled = f"{cells.len() - cells.null_count():,}"
    if name.endswith(PROBABILITY):
        return name.removesuffix(PROBABILITY), filled, f"probability {_shown(cells.mean())}"
    column = name.removesuffix(LOW)
    return column, filled, f"interval {_shown((bounds[column + HIGH] - cells).mean())} wide"


def _shown(value: object) -> str:
    return amount(value, 3) if isinstance(value, float) else str(value)  # of dates, a time span


class Imputer:
    """Fills tables batch by batch; a table in parts gives the same result as in one piece.

    Args:
        generator: with a reference.
        draws: joint draws per table.
        level: share of cells whose intervals hold the truth, in (0, 1).
        seed: of the draws.

    Raises:
        ConfigError: one of them is out of range.
    """

    def __init__(self, generator: TableGenerator, *, draws: int = 0, level: float = 0.9, seed: int = 0) -> None:
        require_whole(draws, "draws", 0)
        require_whole(seed, "seed", 0)
        if not 0 < level < 1:
            raise ConfigError(f"level is {level!r}.", expected="Expected a share between 0 and 1, such as 0.9.")
        self.generator, self.level = generator, level
        self.streams = [np.random.default_rng([seed, draw]) for draw in range(draws)]

    def impute(self, frame: pl.DataFrame, table: TableTensors, batch_size: int = 1024) -> Imputation:
        """Fills the next rows.

        Args:
            frame: the raw rows.
            table: the same rows encoded, on the generator's device.
            batch_size: rows at a time; affects only memory.
        """
        preprocessor = self.generator.preprocessor
        pieces, bounds = [], []
        for rows in batches(table.n_rows, batch_size):
            piece, bound = self._point(table.rows(rows))
            pieces.append(piece)
            bounds.append(bound)
        numbers, codes = (np.concatenate(parts) for parts in zip(*pieces, strict=True)) if pieces else _nothing(table)
        missing = ~table.observed.cpu().numpy()
        filled = written(frame, preprocessor, numbers, codes, missing)
        bound = {key: np.concatenate([part[key] for part in bounds]) for key in (bounds[0] if bounds else {})}
        named = _bounds(preprocessor, bound, missing)
        return Imputation(filled, named, [self._draw(frame, table, missing, rng, batch_size) for rng in self.streams])

    def _point(self, table: TableTensors) -> tuple[tuple[np.ndarray, np.ndarray], dict[tuple[str, int], np.ndarray]]:
        # Complete rows need no pass through the generator; their NaN and MISSING are never written.
        generator, incomplete = self.generator, (~table.observed).any(1).nonzero().squeeze(1)
        n_numeric, rows = generator.n_numeric, table.n_rows
        numbers = np.full((rows, n_numeric), np.nan)
        codes = np.full((rows, generator.n_features - n_numeric), MISSING)
        bounds = {(end, j): np.full(rows, np.nan) for j in range(n_numeric) for end in (LOW, HIGH)}
        bounds |= {(PROBABILITY, j): np.full(rows, np.nan) for j in range(n_numeric, generator.n_features)}
        if len(incomplete):
            part, at = table.rows(incomplete), incomplete.cpu().numpy()
            chances = generator.probabilities(part, part.observed)  # [n, D, C]
            means, likeliest, sure = (tensor.cpu().numpy() for tensor in generator.expected(chances))
            numbers[at], codes[at] = means, likeliest
            for j in (~part.observed).any(0).nonzero().squeeze(1).tolist():
                if j < n_numeric:
                    bounds[LOW, j][at], bounds[HIGH, j][at] = generator.intervals(j, chances[:, j], self.level)
                else:
                    bounds[PROBABILITY, j][at] = sure[:, j - n_numeric]
        return (numbers, codes), bounds

    def _draw(
        self, frame: pl.DataFrame, table: TableTensors, missing: np.ndarray, rng: np.random.Generator, batch_size: int
    ) -> pl.DataFrame:
        generator, parts = self.generator, []
        for rows in batches(table.n_rows, batch_size):
            part = table.rows(rows)
            parts.append(generator.complete(part, Draws.next(rng, part.n_rows, generator.n_features)))
        numbers, codes = decoded(parts or [_blank(generator, 0)], generator.preprocessor)
        return written(frame, generator.preprocessor, numbers, codes, missing)


def _nothing(table: TableTensors) -> tuple[np.ndarray, np.ndarray]:
    return table.numeric.double().cpu().numpy(), table.codes.cpu().numpy()


def decoded(parts: list[TableTensors], preprocessor: Preprocessor) -> tuple[np.ndarray, np.ndarray]:
    """Numbers [N, n_numeric] in the columns' own units, and codes [N, n_categorical]."""
    numeric = np.concatenate([part.numeric.double().cpu().numpy() for part in parts]) if parts else np.zeros((0, 0))
    codes = np.concatenate([part.codes.cpu().numpy() for part in parts]) if parts else np.zeros((0, 0), dtype=int)
    numbers = [feature.decode(numeric[:, j]) for j, feature in enumerate(preprocessor.numeric)] if parts else []
    return (np.stack(numbers, 1) if numbers else np.zeros((len(codes), 0))), codes


def written(
    frame: pl.DataFrame, preprocessor: Preprocessor, numbers: np.ndarray, codes: np.ndarray, missing: np.ndarray
) -> pl.DataFrame:
    """The frame with values written into the cells [N, D] that are missing; other cells stay as they are."""
    new = []
    for j, series in feature_columns(preprocessor, numbers, codes, frame.schema):
        if missing[:, j].any():
            new += [_merged(frame[column.name], column, missing[:, j]) for column in series]
    return frame.with_columns(new)


def _merged(old: pl.Series, new: pl.Series, missing: np.ndarray) -> pl.Series:
    # Cast, as a column without a single value has no type to keep.
    return nameless(new).zip_with(pl.Series(missing), nameless(old).cast(new.dtype)).alias(old.name)


def feature_columns(
    preprocessor: Preprocessor, numbers: np.ndarray, codes: np.ndarray, schema: Mapping[str, pl.DataType]
) -> list[tuple[int, list[pl.Series]]]:
    """The number of every feature that is no derived column, and its columns.

    They have the types in `schema`; where it has a null type or no such column, those of training.
    """
    types = {name: dtype for name, dtype in schema.items() if dtype != pl.Null}
    own, start = preprocessor.own, len(preprocessor.numeric)
    numeric = [(j, [f.column(numbers[:, j], types.get(f.name))]) for j, f in enumerate(preprocessor.numeric) if own[j]]
    return numeric + [
        (start + c, f.decode(codes[:, c], types)) for c, f in enumerate(preprocessor.categorical) if own[start + c]
    ]


def _bounds(preprocessor: Preprocessor, bounds: dict[tuple[str, int], np.ndarray], missing: np.ndarray) -> pl.DataFrame:
    """Columns of bounds for every feature with gaps that is no derived column; those of dates are dates."""
    columns, own = [], preprocessor.own
    for (end, j), values in bounds.items():
        if own[j] and missing[:, j].any():
            shown = np.where(missing[:, j], values, np.nan)
            series = pl.Series(shown, nan_to_null=True) if end == PROBABILITY else _ends(preprocessor.numeric[j], shown)
            columns.append(series.alias(f"{preprocessor.names[j]}{end}"))
    return pl.DataFrame(columns)


def _ends(feature: NumericFeature, values: np.ndarray) -> pl.Series:
    """Ends of intervals with the decimals of the column: rounding keeps every value that the column can have inside."""
    if feature.kind == "date":
        return feature.column(values)
    return pl.Series(feature.rounded(values), nan_to_null=True).cast(feature.bound_type)


class Sampler:
    """Draws new rows: every cell given those drawn before it, in random order.

    Rows drawn in parts equal those drawn in one piece.

    Args:
        generator: with a reference.
        seed: the same seed gives the same rows.
        gaps: leave cells empty as in rows of the table.

    Raises:
        ConfigError: `seed` is no whole number from 0 on.
    """

    def __init__(self, generator: TableGenerator, *, seed: int = 0, gaps: bool = True) -> None:
        require_whole(seed, "seed", 0)
        self.generator, self.gaps = generator, gaps
        # Two streams: `gaps` does not change the values that are drawn.
        self.numbers, self.chooser = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])

    def sample(self, rows: int, batch_size: int = 1024) -> pl.DataFrame:
        """The next rows: columns that features are made from, in the table's order, without `Preprocessor.withheld`.

        Args:
            rows: number of rows.
            batch_size: rows at a time; affects only memory.

        Raises:
            ConfigError: `rows` is no whole number from 0 on.
        """
        require_whole(rows, "rows", 0)
        generator, preprocessor, parts = self.generator, self.generator.preprocessor, []
        for piece in batches(rows, batch_size):
            count = min(piece.stop, rows) - piece.start
            draws = Draws.next(self.numbers, count, generator.n_features)
            parts.append(generator.complete(_blank(generator, count), draws))
        numbers, codes = decoded(parts or [_blank(generator, 0)], preprocessor)
        columns = {c.name: (j, c) for j, series in feature_columns(preprocessor, numbers, codes, {}) for c in series}
        # By name: in a list of columns, Polars gives the one with the empty name another.
        frame = pl.DataFrame({name: columns[name][1] for name in preprocessor.drawn})
        patterns = generator.reference.patterns
        if not self.gaps or not patterns or not rows:
            return frame
        # Whole patterns of real rows, as gaps of different columns may go together.
        empty = np.array(
            [[cell == "1" for cell in patterns[k]] for k in self.chooser.integers(len(patterns), size=rows)]
        )
        return frame.with_columns(
            _merged(pl.Series(name, [None] * rows, dtype=column.dtype), column, ~empty[:, j])
            for name, (j, column) in columns.items()
            if name in frame.columns
        )


def _blank(generator: TableGenerator, rows: int) -> TableTensors:
    sizes, device = generator.preprocessor.sizes, generator.device
    return TableTensors(
        torch.zeros(rows, sizes.n_numeric, device=device),
        torch.zeros(rows, len(sizes.cardinalities), dtype=torch.int64, device=device),
        torch.zeros(rows, sizes.n_features, dtype=torch.bool, device=device),
    )


def outside_range(frame: pl.DataFrame, preprocessor: Preprocessor) -> Tensor:
    """Deviations by which numbers lie beyond the training rows' range, float32 [N, n_numeric]."""
    derived = preprocessor.derive(frame.lazy())
    schema = derived.collect_schema()
    columns = derived.select(f.outside(schema) for f in preprocessor.numeric).collect()
    return torch.from_numpy(columns.to_numpy().astype(np.float32).reshape(frame.height, len(preprocessor.numeric)))
