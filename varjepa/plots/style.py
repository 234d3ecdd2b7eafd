"""The look of all figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from varjepa.visible import shortened, visible

MANY_COLORS = tuple(mpl.color_sequences["tab10"])
COLORS = ("#3366aa", "#cc6633", "#449966", "#aa4477", "#888888", "#ccaa33", "#66bbcc")
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # where it is anyway: no axis is at the top, and to look for one takes a tenth of the time
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.prop_cycle": cycler(color=COLORS),
    "text.parse_math": False,  # a name may hold two dollar signs
}

Floats = NDArray[np.floating]

LONGEST_NAME = 40
"""Characters of a name in a figure: a longer one would leave no room for what it names."""


@contextmanager
def panels(rows: int, columns: int, *, size: tuple[float, float] = (3.6, 2.7)) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of rows times columns axes, each of this size in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
        yield figure, list(np.atleast_1d(figure.subplots(rows, columns)).ravel())
        _show_names(figure)
        # The layout is computed once, here: left to `savefig`, it would cost a drawing of its own.
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine(None)


def named(name: str) -> str:
    """A name of the user for a label or a title: short, visible, and shown by legends whatever it begins with.

    Examples:
        >>> named("_age"), len(named("a" * 500))
        (' _age', 41)
    """
    text = shortened(visible(name), LONGEST_NAME)
    return f" {text}" if text.startswith("_") else text  # Matplotlib leaves such labels out of legends


def _show_names(figure: Figure) -> None:
    """Writes what is invisible in names as escapes. Labels of ticks are set at each drawing: their callers do it."""
    for text in _texts(figure):
        text.set_text("\n".join(map(visible, text.get_text().split("\n"))))


def _texts(artist: Artist) -> Iterator[Text]:
    """All texts but the labels of ticks, which `findobj` would make for this alone."""
    if isinstance(artist, Axis):
        yield artist.label
    elif isinstance(artist, Text):
        yield artist
    else:
        for part in artist.get_children():
            yield from _texts(part)
