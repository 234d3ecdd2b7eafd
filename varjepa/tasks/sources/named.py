"""Tables of a configuration under their names in OpenLineage."""

from collections.abc import Mapping

from varjepa.config import DataSection
from varjepa.tasks.lineage.tables import Name, Table, name_of
from varjepa.tasks.sources.address import expanded
from varjepa.tasks.sources.run_day import planned_day, with_day


def named_table(data: DataSection, columns: Mapping[str, str], rows: int | None, version: str | None = None) -> Table:
    """The table that a configuration reads.

    Args:
        data: the configuration.
        columns: types by name.
        rows: number of rows.
        version: fingerprint; None where it was not taken.
    """
    name = Name("varjepa", str(data.name)) if data.path is None else named_place(data.path)
    return Table(name, columns, rows, version)


def named_place(path: str) -> Name:
    """The name of the table at an address, on the day of the run."""
    return name_of(expanded(with_day(path, planned_day())))
