"""A table as text, and what its text means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.random import Generator


@dataclass(frozen=True)
class MessyTable:
    """The text of a table and the values behind it.

    Attributes:
        label: the column to predict.
        text: column -> its cells as they are written.
        values: features as a person would parse them, for comparisons: numbers, categories, dates; no identifiers.
        target: what the label means.
        separator: between cells.
        encoding: of the file.
        line_end: of the file.
        before: lines before the header.
        behind: text behind every line.
    """

    label: str
    text: Mapping[str, Sequence[str]]
    values: dict[str, Any]
    target: Any
    separator: str = ","
    encoding: str = "utf-8"
    line_end: str = "\n"
    before: tuple[str, ...] = ()
    behind: str = ""
    features: pl.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", pl.DataFrame(self.values))

    def write(self, path: Path) -> Path:
        """Writes the file as a spreadsheet or a script would."""
        rows = zip(*self.text.values(), strict=True)
        lines = [self._line(self.text), *(self._line(row) for row in rows)]
        text = self.line_end.join([*self.before, *lines, ""])
        path.write_bytes(text.encode(self.encoding))
        return path

    def _line(self, cells: Iterable[str]) -> str:
        return self.separator.join(self._quoted(cell) for cell in cells) + self.behind

    def _quoted(self, cell: str) -> str:
        return (
            '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in (self.separator, '"', "\n")) else cell
        )


def gapped(cells: Sequence[str], missing: np.ndarray[Any, Any], word: str) -> list[str]:
    """Cells, of which some are a gap word."""
    return [word if gap else cell for cell, gap in zip(cells, missing, strict=True)]


def with_gaps(values: Any, missing: np.ndarray[Any, Any]) -> list[Any]:
    """Values, of which some are missing."""
    return [None if gap else value for value, gap in zip(np.asarray(values).tolist(), missing, strict=True)]


def drawn(rng: Generator, values: Sequence[Any], rows: int, chances: Sequence[float] | None = None) -> list[Any]:
    """Values drawn with these chances."""
    return [values[k] for k in rng.choice(len(values), rows, p=chances)]


def happens(rng: Generator, score: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Events whose log-odds are the scores."""
    return rng.random(len(score)) < 1 / (1 + np.exp(-score))


def european(number: float, decimals: int = 2) -> str:
    """A number with decimal comma and points between thousands."""
    return f"{number:,.{decimals}f}".translate(str.maketrans(",.", ".,"))
