"""Piecewise-linear interpolation that finds the knots of a value without a search."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

MOST_CELLS = 2**17
"""Cells of the grid that spares `interpolation` its search."""

BLOCK = 2**17
"""Values looked up at a time, so that what is computed on the way stays in the cache."""


@lru_cache(maxsize=64)
def interpolation(knots: tuple[float, ...], scores: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """`np.interp` between these points, to the last bit, without its search where that can be spared.

    The leading bits of a float32 make a grid that is fine where floats are. Where no cell of it holds two knots, one
    look-up and one comparison find the piece that a value is on.

    Examples:
        >>> interpolation((1.0, 2.0, 4.0), (0.0, 1.0, 2.0))(np.array([0.0, 1.5, 3.0, 9.0, np.nan]))
        array([0. , 0.5, 1.5, 2. , nan])
    """
    places, heights = np.array(knots), np.array(scores)
    bits = _coarsest(places)
    if bits is None:
        return lambda values: np.interp(values, places, heights)
    slopes = np.append(np.diff(heights) / np.diff(places), 0.0)
    cells = _grid(places, bits)
    below = np.searchsorted(cells, np.arange(cells[0], cells[-1] + 1))

    def look_up(values: np.ndarray) -> np.ndarray:
        found = np.empty(len(values))
        for start in range(0, len(values), BLOCK):
            inside = np.clip(values[start : start + BLOCK], places[0], places[-1])
            piece = below.take(_grid(inside, bits) - cells[0], mode="clip")
            piece -= inside < places.take(piece)
            inside -= places.take(piece, mode="clip")
            inside *= slopes.take(piece, mode="clip")
            np.add(inside, heights.take(piece, mode="clip"), out=found[start : start + BLOCK])
        return found

    return look_up


def _coarsest(places: np.ndarray) -> int | None:
    """Bits to leave out for the coarsest grid with a cell for every place; None where that is too large."""
    for bits in range(20, 0, -1):
        cells = _grid(places, bits)
        if int(cells[-1]) - int(cells[0]) >= MOST_CELLS:
            return None
        if (np.diff(cells) > 0).all():
            return bits
    return None


def _grid(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of cells that rise with the values; the last `bits` bits of a float32 do not count."""
    with np.errstate(over="ignore"):
        cells = values.astype(np.float32).view(np.int32)
    return (cells ^ (cells >> 31 & 0x7FFFFFFF)) >> bits
