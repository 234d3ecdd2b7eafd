"""Piecewise-linear interpolation without a search for the piece of a value.

`np.interp` finds the piece between two knots by binary search, about ten steps per value. Here a table gives it in one
step. The table is indexed by the leading bits of the value as a 32-bit float:

- The bits of a positive IEEE float, read as an integer, rise with the value. So dropping the last bits divides the
  numbers into cells that are ordered like the numbers.
- Cells are narrow near zero and wide far from it, like the spacing of floats. That suits skewed columns.

If no cell holds two knots, a cell has at most two pieces, and one comparison chooses between them.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

MOST_CELLS = 2**17
"""Largest number of cells of the table. Finer grids fall back to `np.interp`."""

BLOCK = 2**17
"""Values interpolated at a time, so that intermediate results stay in the cache."""


@lru_cache(maxsize=64)
def interpolation(knots: tuple[float, ...], scores: tuple[float, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """A function that equals `np.interp` between these points, to the last bit, and is faster if a table is possible.

    Args:
        knots: K strictly increasing positions.
        scores: K values at them.

    Returns:
        A function from float64 [N] to float64 [N]. NaN gives NaN. Beyond the knots it is constant.

    Examples:
        >>> interpolation((1.0, 2.0, 4.0), (0.0, 1.0, 2.0))(np.array([0.0, 1.5, 3.0, 9.0, np.nan]))
        array([0. , 0.5, 1.5, 2. , nan])
    """
    places, heights = np.array(knots), np.array(scores)
    bits = _coarsest(places)
    if bits is None:
        return lambda values: np.interp(values, places, heights)
    slopes = np.append(np.diff(heights) / np.diff(places), 0.0)  # [K]; 0 at the last knot
    cells = _grid(places, bits)  # cell of each knot, strictly increasing, [K]
    # For each cell from the first knot's to the last knot's: the first knot that is in it or after it.
    below = np.searchsorted(cells, np.arange(cells[0], cells[-1] + 1))

    def look_up(values: np.ndarray) -> np.ndarray:
        results = np.empty(len(values))
        for start in range(0, len(values), BLOCK):
            inside = np.clip(values[start : start + BLOCK], places[0], places[-1])
            piece = below.take(_grid(inside, bits) - cells[0], mode="clip")
            # That knot may lie above the value. Then the piece starts at the knot before it.
            piece -= inside < places.take(piece)
            # height + slope * (value - knot), in place to save memory.
            inside -= places.take(piece, mode="clip")
            inside *= slopes.take(piece, mode="clip")
            np.add(inside, heights.take(piece, mode="clip"), out=results[start : start + BLOCK])
        return results

    return look_up


def _coarsest(places: np.ndarray) -> int | None:
    """Number of last bits to drop for the coarsest grid that separates all places; None if its table is too large."""
    for bits in range(20, 0, -1):
        cells = _grid(places, bits)
        if int(cells[-1]) - int(cells[0]) >= MOST_CELLS:
            return None
        if (np.diff(cells) > 0).all():
            return bits
    return None


def _grid(values: np.ndarray, bits: int) -> np.ndarray:
    """Cell numbers int32 [N] that rise with the values: the bits of each as a float32, without the last `bits` bits."""
    with np.errstate(over="ignore"):
        cells = values.astype(np.float32).view(np.int32)
    # Negative floats have the sign bit set, and as integers they fall when the value rises. Flipping their other 31
    # bits reverses that. `cells >> 31` is -1 (all bits set) for negative numbers and 0 for the others.
    return (cells ^ (cells >> 31 & 0x7FFFFFFF)) >> bits
