"""Iceberg tables: one snapshot of them, from a catalog or from a file of metadata."""

import os
from typing import Any

import polars as pl

from varjepa.config import DataSection
from varjepa.config.uris import METADATA, home_expanded, is_local
from varjepa.data.read.sources import Source
from varjepa.errors import ConfigError, DataError, listed
from varjepa.tasks.sources.credentials import endpoint, region
from varjepa.tasks.sources.extras import required
from varjepa.tasks.sources.fingerprints import fingerprint_of
from varjepa.tasks.sources.found_table import FoundTable
from varjepa.tasks.sources.moments import moment

os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")  # otherwise Polars warns of a faster one


def find_iceberg(place: str, data: DataSection, description: str) -> FoundTable:
    """The newest snapshot of an Iceberg table, or the one that `data.at` names.

    Args:
        place: `CATALOG/NAMESPACE.TABLE`, or the path or URI of a file of metadata.
        data: the configuration.
        description: for messages.

    Raises:
        ConfigError: no such catalog, or `data.at` is neither a number nor a time.
        DataError: there is no table, or no such snapshot.
    """
    table = open_iceberg(place, description)
    snapshot = _snapshot(table, data.at, description)
    shown = f"{description}, snapshot {snapshot}"
    facts = str(table.metadata.table_uuid), snapshot
    return FoundTable(
        shown,
        lambda: fingerprint_of("iceberg", *facts),
        lambda text: Source(pl.scan_iceberg(table, snapshot_id=snapshot), (), shown).checked().spelled(data, text),
    )


def open_iceberg(place: str, description: str) -> Any:
    """Opens the newest state of a table.

    Raises:
        ConfigError: no such catalog.
        DataError: there is no table.
    """
    required("pyiceberg", "iceberg", "An Iceberg table")
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
    from pyiceberg.table import StaticTable

    if place.endswith(METADATA):
        path = str(home_expanded(place).absolute()) if is_local(place) else place
        return StaticTable.from_metadata(path, _properties())
    catalog, _, name = place.partition("/")
    try:
        opened = load_catalog(catalog, **_properties())
    except ValueError as error:
        raise ConfigError(
            f'The Iceberg catalog "{catalog}" is not configured: {error}.',
            fix=f"Describe it in ~/.pyiceberg.yaml or by variables PYICEBERG_CATALOG__{catalog.upper()}__...",
        ) from None
    try:
        return opened.load_table(name)
    except (NoSuchTableError, NoSuchNamespaceError):
        raise DataError(f"{description} does not exist.", fix=_names(opened, name)) from None


def _names(catalog: Any, name: str) -> str:
    """The tables beside one that does not exist."""
    try:
        names = [".".join(item) for item in catalog.list_tables(name.rpartition(".")[0])]
    except Exception:  # noqa: BLE001 (a hint, and catalogs raise what they like)
        names = []
    return f"Tables of this namespace: {listed(names)}." if names else "Expected iceberg://CATALOG/NAMESPACE.TABLE."


def _properties() -> dict[str, str]:
    """The object store's endpoint of the environment, which PyIceberg does not read itself."""
    return {} if endpoint() is None else {"s3.endpoint": str(endpoint()), "s3.region": region()}


def _snapshot(table: Any, at: int | str | None, description: str) -> int | None:
    """Number of the snapshot; None for a table without rows."""
    if isinstance(at, int):
        if table.snapshot_by_id(at) is None:
            ids = [str(snapshot.snapshot_id) for snapshot in table.snapshots()]
            raise DataError(f"{description} has no snapshot {at}.", expected=f"Snapshots: {listed(ids[::-1])}.")
        return at
    if at is not None:
        snapshot = table.snapshot_as_of_timestamp(int(moment(at).timestamp() * 1000))
        if snapshot is None:
            raise DataError(f"{description} had no snapshot at {at}.")
        return int(snapshot.snapshot_id)
    current = table.current_snapshot()
    return None if current is None else int(current.snapshot_id)
