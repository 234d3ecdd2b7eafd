"""Checks of a command over a table that need the files of a model, but not the model."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.config.load import parse_stored
from varjepa.config.retrain import RetrainConfig
from varjepa.config.uris import is_local
from varjepa.data.cells import by_name
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.named_columns import Named, renamed, require_named, require_present
from varjepa.tasks.registry.names import CONFIG, PREPROCESSOR
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.glance import columns_at_hand
from varjepa.tasks.sources.open_table import opened_table


def require_columns(
    folder: Path | None, source: str, named: Named, reading: Mapping[str, Any] | None = None, *,
    features: bool = True, label: bool = False,
) -> None:  # fmt: skip
    """Checks that the columns are there that a command reads, before the model is loaded.

    Args:
        folder: of the model, whose settings say how to read the table; None if it is not on this machine.
        source: place of the table; those on servers are left alone, as to read them twice may be dear.
        named: option -> columns that it names, such as `--keep`.
        reading: query, parameters and version (at) of the table.
        features: whether the model reads the table.
        label: whether the command needs the label, too.

    Raises:
        DataError: the table cannot be read, or lacks columns.
    """
    config = None if folder is None else settings_of(folder)
    if folder is None or config is None or not is_local(source):
        return
    data = section_at(config.data, source, **(reading or {}))
    columns = columns_at_hand(data)
    if columns is None and any(named.values()):
        with opened_table(data, quiet=True) as opened:
            columns = renamed(opened.frame, data.rename).collect_schema().names()
    if columns is None:
        return
    require_named(columns, named)
    needed = columns_of(folder) if features else []
    require_present([*needed, *([data.label] if label and data.label is not None else [])], columns, source)


def settings_of(folder: Path) -> RetrainConfig | None:
    """The settings of a model, which say how to read its tables; None if there is no such file."""
    file = folder / CONFIG
    return parse_stored(json.loads(file.read_text(encoding="utf-8")), str(file)) if file.is_file() else None


def columns_of(folder: Path) -> list[str]:
    """The columns of the table that a model reads; none if its files do not say: why, shows when it is opened."""
    with suppress(OSError, ValueError):
        return Preprocessor.read(folder / PREPROCESSOR).columns
    return []


def kept_columns(frame: pl.LazyFrame, keep: tuple[str, ...]) -> pl.LazyFrame:
    """The columns that --keep names.

    Raises:
        DataError: there is no such column.
    """
    require_named(frame.collect_schema().names(), {"--keep": keep})
    return frame.select(by_name(keep))
