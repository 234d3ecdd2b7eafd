"""Delta tables: one version of them, whatever is committed meanwhile."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from varjepa.config import DataSection
from varjepa.config.uris import home_expanded
from varjepa.data.read.sources import Source
from varjepa.errors import DataError
from varjepa.tasks.sources.credentials import storage_options
from varjepa.tasks.sources.extras import required
from varjepa.tasks.sources.fingerprints import fingerprint_of
from varjepa.tasks.sources.found_table import FoundTable, Text
from varjepa.tasks.sources.moments import moment

LOG = "_delta_log"
"""Folder that makes a folder a Delta table."""


def find_delta(place: str, data: DataSection, description: str) -> FoundTable:
    """The newest version of a Delta table, or the one that `data.at` names.

    Args:
        place: its folder, a path or a URI of an object store.
        data: the configuration.
        description: for messages.

    Raises:
        ConfigError: `data.at` is neither a number nor a time.
        DataError: there is no table, or no such version.
    """
    table = open_delta(place, description)
    if data.at is not None:
        _load(table, data.at, description)
    shown = f"{description}, version {table.version()}"

    def opened(text: Text) -> Source:
        frame = pl.scan_delta(table, storage_options=storage_options(place) or None)
        return Source(frame, (), shown).checked().spelled(data, text)

    return FoundTable(shown, lambda: _fingerprint(table), opened)


def open_delta(place: str, description: str) -> Any:
    """Opens the newest version.

    Raises:
        DataError: there is no table.
    """
    deltalake = required("deltalake", "delta", "A Delta table")
    try:
        return deltalake.DeltaTable(place, storage_options=storage_options(place) or None)
    except deltalake.exceptions.TableNotFoundError:
        raise DataError(
            f"{description} is not a Delta table.", expected=f"Expected a folder with {LOG}.", fix="Check the path."
        ) from None


def is_delta(place: str) -> bool:
    """Whether a local folder holds a Delta table."""
    return (home_expanded(place) / LOG).is_dir()


def _fingerprint(table: Any) -> str:
    return fingerprint_of("delta", str(table.metadata().id), table.version())


def _load(table: Any, at: int | str, description: str) -> None:
    newest = table.version()
    if isinstance(at, int):
        if not 0 <= at <= newest:
            raise DataError(f"{description} has no version {at}.", expected=f"Expected one up to {newest}.")
        table.load_as_version(at)
        return
    time, times = moment(at), [_time(commit) for commit in table.history()]
    if time < min(times):
        raise DataError(
            f"{description} does not reach back to {time.isoformat()}.",
            expected=f"Its first version that is known is of {min(times).isoformat()}.",
        )
    table.load_as_version(time)


def _time(commit: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
