"""Columns of mixed cells, as JSON allows them and a table does not."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from varjepa.errors import DataError


def require_single(name: str, cells: Iterable[Any]) -> None:
    """Checks that each cell of a column is one value.

    Raises:
        DataError: a cell is a list or an object.
    """
    for cell in cells:
        if isinstance(cell, list | dict):
            raise DataError(
                f'The column "{name}" holds {str(cell)[:60]}.', expected="Expected one number or text per cell."
            )


def mixed_as_text(name: str, cells: Iterable[Any]) -> pl.Series:
    """The cells as text; None is missing. JSON may hold half of a character, for which a question mark stands.

    Examples:
        >>> mixed_as_text("b", [1, "x", None]).to_list()
        ['1', 'x', None]
    """
    texts = (None if cell is None else str(cell).encode("utf-8", "replace").decode("utf-8") for cell in cells)
    return pl.Series(name, list(texts), dtype=pl.String)
