"""Fits the features of numbers and dates: moments of all training rows, knots and bins of a sample."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import polars as pl

from varjepa.config import PreprocessSection
from varjepa.data.cells import nameless
from varjepa.data.encode.features import NumericFeature
from varjepa.data.fit.normal_scores import normal_scores
from varjepa.data.fit.rows_protocol import COLUMNS_AT_ONCE, Moments, TrainingRows, number_kind
from varjepa.data.fit.spiked_bins import spiked_bins
from varjepa.data.read.column_profile import ColumnProfile

SKEWED = 1.0
"""auto: columns with a larger absolute skewness are quantile-transformed."""

HEAVY_TAILED = 6.0
"""auto: columns with a training value further than this many standard deviations from the mean, too."""

KNOT_ROWS = 1_000_000
"""Larger tables: knots come from about this many training rows, evenly spaced."""

BIN_ROWS = 100_000
"""Bins come from about this many of them: sixteen bins need no more, and sorting every column takes time."""

DAY_PARTS = (1, 24, 1440, 86_400)
"""Days, hours, minutes and seconds, as parts of a day."""

FEWEST_KNOTS = 2
"""A nearly empty column of which the sample holds fewer different values is standardised: mean and deviation are those
of all rows."""


def fit_numbers(
    rows: TrainingRows, columns: Sequence[ColumnProfile], preprocess: PreprocessSection
) -> Iterator[NumericFeature]:
    """The features of the numeric and date columns among `columns`, in their order."""
    numbers = [facts for facts in columns if facts.kind in ("numeric", "date")]
    moments = dict(zip((facts.name for facts in numbers), rows.moments(numbers), strict=True))
    chosen = {
        name: preprocess.numeric if preprocess.numeric != "auto" else _transform(column_moments)
        for name, column_moments in moments.items()
    }
    for start in range(0, len(numbers), COLUMNS_AT_ONCE):
        # A few columns at a time: their samples are in memory together.
        group = numbers[start : start + COLUMNS_AT_ONCE]
        sampled = [
            facts for facts in group
            if preprocess.n_bins or chosen[facts.name] == "quantile" or facts.kind == "date"
        ]  # fmt: skip
        stride = max(1, rows.rows // KNOT_ROWS)
        cells = {column.name: column for column in rows.sample(sampled, stride)} if sampled else {}
        for facts in group:
            values = nameless(cells[facts.name]).drop_nulls().to_numpy() if facts.name in cells else np.empty(0)
            yield _fitted(facts, moments[facts.name], chosen[facts.name], values, preprocess)


def _fitted(
    facts: ColumnProfile,
    moments: Moments,
    transform: Literal["standard", "quantile"],
    values: np.ndarray,
    preprocess: PreprocessSection,
) -> NumericFeature:
    places, scores = tuple[float, ...](), tuple[float, ...]()
    if transform == "quantile" and len(values):
        places, scores = normal_scores(values, preprocess.n_quantiles)
    if len(places) < FEWEST_KNOTS:
        transform, places, scores = "standard", (), ()
    feature = NumericFeature(
        name=facts.name, dtype=str(facts.dtype), kind=number_kind(facts), transform=transform, mean=moments.mean,
        std=moments.std or 1.0, clip=preprocess.clip, smallest=moments.smallest, largest=moments.largest,
        decimals=moments.decimals, knots=places, scores=scores,
        day_parts=day_parts(values) if facts.kind == "date" else None,
    )  # fmt: skip
    some = values[:: max(1, len(values) // BIN_ROWS)]
    ends = spiked_bins(some, preprocess.n_bins)
    if not ends:
        return feature
    # Ends beyond where values are cut are one and the same.
    encoded = np.unique(pl.DataFrame({"end": ends}).select(feature.encoded(pl.col("end"))).to_series().to_numpy())
    return feature.model_copy(update={"bins": tuple(encoded.tolist()) if len(encoded) > 1 else ()})


def day_parts(days: np.ndarray) -> int | None:
    """The fewest parts of a day whose ends are all these dates, in days; None if seconds are too coarse, or no dates.

    Examples:
        >>> day_parts(np.array([19000.0, 19001.25])), day_parts(np.array([19000.5 + 1 / 1440]))
        (24, 1440)
    """
    if not len(days):
        return None
    # Within a millisecond, as hours and minutes are no binary fractions of a day.
    return next((parts for parts in DAY_PARTS if (np.abs((days * parts).round() / parts - days) < 1e-8).all()), None)


def _transform(moments: Moments) -> Literal["standard", "quantile"]:
    std = moments.std or 1.0
    furthest = max(moments.mean - moments.smallest, moments.largest - moments.mean) / std
    return "quantile" if abs(moments.skew or 0) > SKEWED or furthest > HEAVY_TAILED else "standard"
