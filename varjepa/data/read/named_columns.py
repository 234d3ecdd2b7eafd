"""Checks that the columns exist that a configuration names."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from varjepa.config import DataSection, RetrainConfig
from varjepa.errors import DataError, listed, suggested

MOST_LISTED = 40
"""Missing columns that a message lists; of more it says the number."""

Named = Mapping[str, Iterable[str | None]]
"""Key -> the columns that it names; None is no name."""


def require_named(columns: Sequence[str], named: Named) -> None:
    """Checks that every column exists that is named. A misspelt label would become a feature.

    Args:
        columns: of the table.
        named: names per key.

    Raises:
        DataError: a column does not exist; the message has all of them, and suggests the nearest names.
    """
    wrong = {key: [name for name in names if name is not None and name not in columns] for key, names in named.items()}
    wrong = {key: names for key, names in wrong.items() if names}
    if not wrong:
        return
    said = " and ".join(f"{key} names {listed(names, MOST_LISTED)}" for key, names in wrong.items())
    missing = list(dict.fromkeys(name for names in wrong.values() for name in names))
    which = "which is not a column" if len(missing) == 1 else "which are not columns"
    raise DataError(f"{said}, {which}.", fix=suggested(missing, columns, f"Columns: {listed(columns, 20)}."))


def named_in_data(data: DataSection) -> Named:
    """The columns that the section about the table names."""
    return {"data.drop": data.drop, "data.kinds": data.kinds, "data.columns": data.columns, "data.label": [data.label]}


def named_in_job(config: RetrainConfig) -> Named:
    """The columns that a whole job names."""
    split = config.data.split
    hashed = split.columns if isinstance(split.columns, tuple) else ()
    others = {
        "data.split.column": [split.column],
        "data.split.columns": hashed,
        "gate.subgroups": config.gate.subgroups,
    }
    return {**named_in_data(config.data), **others}


def renamed(frame: pl.LazyFrame, names: Mapping[str, str]) -> pl.LazyFrame:
    """The frame with other names of some columns; old names that do not occur are left out (`data.rename`).

    Raises:
        DataError: two columns would have the same name.
    """
    columns = [names.get(name, name) for name in frame.collect_schema()]
    twice = sorted(name for name, times in Counter(columns).items() if times > 1)
    if twice:
        raise DataError(f"After data.rename, several columns are called {listed(twice)}.", fix="Change data.rename.")
    return frame.rename(names, strict=False)


def require_present(names: Iterable[str], columns: Sequence[str], place: str = "") -> None:
    """Checks that a table has the columns that a model reads.

    Args:
        names: that the model reads.
        columns: of the table.
        place: of the table, for the message.

    Raises:
        DataError: some are missing; the message has all of them.
    """
    missing = [name for name in names if name not in columns]
    where = f" in {place}" if place else ""
    if len(missing) == 1:
        hint = suggested(missing, columns, "Add the column, or check its name.")
        raise DataError(f'The column "{missing[0]}" is missing{where}.', fix=hint)
    if missing:
        hint = suggested(missing, columns, "Add the columns, or check their names.")
        raise DataError(f"{len(missing)} columns are missing{where}: {listed(missing, MOST_LISTED)}.", fix=hint)
