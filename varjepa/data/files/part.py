"""What all formats have in common: some files of one layout, and how to read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl


@dataclass(frozen=True)
class Part:
    """Neighbouring files with the same columns.

    Attributes:
        file: the first of them, for messages.
        schema: type of each column as found or declared; Null for a column without a value.
        read: the rows, with the types that are asked for.
        keys: columns that the names of folders give, such as `year=2024`.
    """

    file: Path
    schema: Mapping[str, pl.DataType]
    read: Callable[[Mapping[str, pl.DataType]], pl.LazyFrame]
    keys: Mapping[str, str | None]
