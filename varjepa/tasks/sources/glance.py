"""A glance at a table before anything heavy is imported: whether there is one at a local place, and its columns."""

from collections.abc import Mapping
from typing import Any

from varjepa.config import DataSection
from varjepa.config.uris import IN_FILES, METADATA, database_file, home_expanded, is_local, scheme_of
from varjepa.errors import DataError
from varjepa.tasks.sources.address import expanded, require_place
from varjepa.tasks.sources.run_day import planned_day, with_day


def require_table(path: str, reading: Mapping[str, Any] | None = None) -> None:
    """Checks a place as far as this machine can: servers are asked when the table is opened.

    Args:
        path: file, folder, glob or URI.
        reading: query, parameters and version (at) of the table.

    Raises:
        ConfigError: the place is not a valid one, or a password is written out in it.
        DataError: there is no such file or folder.
    """
    require_place(path, reading or {})
    address = expanded(with_day(path, planned_day()))
    if is_local(address):
        from varjepa.data.files.found import find_files

        if not home_expanded(address).is_dir():  # what lies in a folder, its reader says
            find_files(address)
    elif scheme_of(address) in IN_FILES and not home_expanded(database_file(address)).is_file():
        raise DataError(f"There is no database file {database_file(address)}.", fix="Check data.path.")


def columns_at_hand(data: DataSection) -> list[str] | None:
    """The names of the columns of a local table, from its header alone; None where that takes more than a look.

    Args:
        data: settings of the table, which `require_table` has seen.

    Raises:
        DataError: the header cannot be read.
    """
    address = expanded(with_day(data.path or "", planned_day()))
    if not address or not is_local(address) or data.noise:  # noise adds a column
        return None
    from varjepa.data.files.column_names import column_names
    from varjepa.tasks.sources.delta import is_delta

    return None if address.endswith(METADATA) or is_delta(address) else column_names(address, data)


def files_at_hand(source: str) -> int | None:
    """The number of local files of a table; None for a table elsewhere."""
    if not is_local(source):
        return None
    from varjepa.data.files.found import find_files

    try:
        return len(find_files(expanded(source)).files)
    except DataError:
        return None  # such as a Delta table; what is wrong with it, the reader says


def rows_at_hand(source: str) -> int | None:
    """The number of rows of local Parquet files, which they say themselves; None for what has to be read to count."""
    if not is_local(source):
        return None
    import polars as pl

    from varjepa.data.files.found import find_files

    try:
        files = find_files(source).files
        if not files or any(file.suffix != ".parquet" for file in files):
            return None
        return int(pl.scan_parquet([*files]).select(pl.len()).collect().item())
    except (DataError, OSError, pl.exceptions.PolarsError):
        return None  # what is wrong with them, the reader says
