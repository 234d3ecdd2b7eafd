"""Rows with damaged cells, as broken sources leave them: what they cost is learned while labels are at hand."""

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from varjepa.data.cells import column

MOST_MISSING, MOST_NOISE, MOST_SWAPPED = 0.4, 1.5, 0.5
"""Largest share of missing cells, noise in standard deviations, and share of cells that come from other rows."""

Damage = Callable[[pl.DataFrame, str, np.random.Generator, float], pl.Expr]


def _gaps(frame: pl.DataFrame, name: str, rng: np.random.Generator, strength: float) -> pl.Expr:
    hidden = pl.Series(rng.random(frame.height) < MOST_MISSING * strength)
    return pl.when(~hidden).then(column(name)).alias(name)


def _noise(frame: pl.DataFrame, name: str, rng: np.random.Generator, strength: float) -> pl.Expr:
    values = frame[name].cast(pl.Float64).to_numpy()
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):  # of values whose squares are no numbers, which get no noise
        scale = float(finite.std()) if len(finite) else 0.0
    if not np.isfinite(scale):
        return column(name)
    return column(name) + MOST_NOISE * strength * scale * pl.Series(rng.normal(size=frame.height))


def _swapped(frame: pl.DataFrame, name: str, rng: np.random.Generator, strength: float) -> pl.Expr:
    others = column(name).gather(pl.Series(rng.integers(frame.height, size=frame.height)))
    moved = pl.Series(rng.random(frame.height) < MOST_SWAPPED * strength)
    return pl.when(moved).then(others).otherwise(column(name)).alias(name)


DAMAGES: tuple[Damage, ...] = (_gaps, _noise, _swapped)
"""Missing cells, noise, and values of other rows."""


def damaged_rows(frame: pl.DataFrame, kinds: Mapping[str, str], seed: int) -> pl.DataFrame:
    """The rows with damage of a random strength in up to half of their columns; of a kind by turns of the seed.

    Args:
        frame: raw rows.
        kinds: of the columns that may be damaged; noise is for those of the kind numeric.
        seed: of the damage.

    Returns:
        The same rows, in their order; unharmed where nothing can be damaged, such as noise without numbers.
    """
    rng = np.random.default_rng([seed, 47])
    damage, strength = DAMAGES[seed % len(DAMAGES)], rng.uniform(0.2, 1.0)
    names = [name for name, kind in kinds.items() if damage is not _noise or _is_number(frame, name, kind)]
    chosen = rng.permutation(len(names))[: rng.integers(1, max(len(names) // 2, 1) + 1)]
    return frame.with_columns(damage(frame, names[place], rng, strength) for place in chosen)


def _is_number(frame: pl.DataFrame, name: str, kind: str) -> bool:
    return kind == "numeric" and frame.schema[name].is_numeric()
