"""A table of a database: all rows in one transaction."""

from varjepa.config.uris import VECTORS, database_file, home_expanded, scheme_of, without_scheme
from varjepa.errors import ConfigError
from varjepa.tasks.destinations.alchemy_table import AlchemyTable
from varjepa.tasks.destinations.duckdb_table import DuckdbTable
from varjepa.tasks.destinations.lance_table import LanceTable
from varjepa.tasks.destinations.postgres_table import PostgresTable
from varjepa.tasks.destinations.target import Mode, Target
from varjepa.tasks.sources.address import server_of, table_of


def database_target(address: str, description: str, mode: Mode) -> Target:
    """The table that `#TABLE` at the end of a URI names.

    Raises:
        ConfigError: there is no name.
    """
    server, table, scheme = server_of(address), table_of(address), scheme_of(address)
    if not table:
        raise ConfigError(f"{description} names no table.", fix="Write its name at the end: ...#scores.")
    if scheme in ("postgresql", "postgres"):
        return PostgresTable(f"postgresql://{server.partition('://')[2]}", table, description, mode)
    if scheme == VECTORS:
        return LanceTable(without_scheme(server), table, description, mode)
    if scheme == "duckdb":
        return DuckdbTable(home_expanded(database_file(server)), table, description, mode)
    return AlchemyTable(server, table, description, mode)
