"""Checks of a batch command that need the files of a model, but not the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.config.load import parse_stored
from varjepa.config.uris import is_local
from varjepa.data.cells import by_name
from varjepa.errors import DataError, listed, nearest
from varjepa.tasks.registry.names import CONFIG
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.open_table import opened_table


def require_kept(
    folder: Path | None, source: str, keep: tuple[str, ...], reading: Mapping[str, Any] | None = None
) -> None:
    """Checks that the columns to copy are there, before the model is loaded.

    Args:
        folder: of the model, whose settings say how to read the table; None if it is not on this machine.
        source: place of the table; those on servers are left alone, as to read them twice may be dear.
        keep: names of columns.
        reading: query, parameters and version (at) of the table.

    Raises:
        DataError: the table cannot be read, or lacks a column.
    """
    if not keep or folder is None or not (folder / CONFIG).is_file() or not is_local(source):
        return
    config = parse_stored(json.loads((folder / CONFIG).read_text(encoding="utf-8")), str(folder / CONFIG))
    data = section_at(config.data, source, **(reading or {}))
    with opened_table(data) as opened:
        kept_columns(opened.frame.rename(data.rename, strict=False), keep)


def kept_columns(frame: pl.LazyFrame, keep: tuple[str, ...]) -> pl.LazyFrame:
    """The columns that --keep names.

    Raises:
        DataError: there is no such column.
    """
    columns = frame.collect_schema().names()
    for name in keep:
        if name not in columns:
            hint = nearest(name, columns) or f"Columns: {listed(columns, 20)}."
            raise DataError(f'--keep names "{name}", which is not a column.', fix=hint)
    return frame.select(by_name(keep))
