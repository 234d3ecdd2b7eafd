"""Checks that the columns exist that a configuration names."""

from collections.abc import Iterable, Mapping, Sequence

from varjepa.config import DataSection
from varjepa.errors import DataError, listed, nearest


def require_named(
    columns: Sequence[str], data: DataSection, others: Mapping[str, Iterable[str | None]] | None = None
) -> None:
    """Checks that every column that a configuration names exists. A misspelt label would become a feature.

    Args:
        columns: of the table.
        data: its label, and its keys that name columns.
        others: further names per key; None is no name.

    Raises:
        DataError: a column does not exist; the message suggests the nearest name.
    """
    named: dict[str, Iterable[str | None]] = {
        "data.drop": data.drop, "data.kinds": data.kinds, "data.columns": data.columns, "data.label": [data.label],
        **(others or {}),
    }  # fmt: skip
    for key, names in named.items():
        for name in names:
            if name is not None and name not in columns:
                hint = nearest(name, columns) or f"Columns: {listed(columns, 20)}."
                raise DataError(f'{key} names "{name}", which is not a column.', fix=hint)
