"""Tables and queries of databases: read once, in batches, into a Parquet file."""

from dataclasses import replace
from pathlib import Path

from varjepa.config import DataSection
from varjepa.config.uris import database_file, home_expanded, scheme_of
from varjepa.data.read.sources import Source, open_path
from varjepa.errors import ConfigError
from varjepa.redaction import redacted_uri
from varjepa.tasks.sources.address import expanded, server_of, table_of
from varjepa.tasks.sources.alchemy_rows import stage_alchemy
from varjepa.tasks.sources.duckdb_rows import stage_duckdb
from varjepa.tasks.sources.found_table import FoundTable, Text
from varjepa.tasks.sources.postgres_rows import stage_postgres
from varjepa.tasks.sources.query_text import whole_table
from varjepa.tasks.sources.staged_rows import StagedRows, order_digest, rows_digest

QUOTES = {"mysql": "``", "mariadb": "``", "mssql": "[]"}
"""Characters around names; double quotes elsewhere."""


def read_database(data: DataSection, stage: Path) -> FoundTable:
    """Reads the rows of a database into `stage`.

    Raises:
        ConfigError: no query and no table, or a query that is not one SELECT.
        DataError: two columns have the same name, or the file of the database does not exist.
    """
    address = expanded(str(data.path))
    server, table, scheme = server_of(address), table_of(address), scheme_of(address)
    if (data.query is None) == (not table):
        raise ConfigError(
            f"{redacted_uri(address)} is a database.",
            expected="Expected either a query (data.query, --query) or a table (#TABLE at the end of the URI).",
        )
    query = data.query or whole_table(table, QUOTES.get(scheme, '""'))
    out = stage / "rows.parquet"
    description = redacted_uri(address)
    _stage(server, query, data, out, description)

    def opened(text: Text) -> Source:
        return replace(open_path(str(out), data, text), files=(), description=description)

    return FoundTable(description, lambda: rows_digest(out), opened, order=lambda: order_digest(out))


def _stage(server: str, query: str, data: DataSection, out: Path, description: str) -> None:
    scheme, parameters = scheme_of(server), data.parameters
    if scheme == "duckdb":
        stage_duckdb(home_expanded(database_file(server)), query, parameters, out, description)
    elif scheme in ("postgresql", "postgres"):
        rows = StagedRows(out)
        uri = f"postgresql://{server.partition('://')[2]}"
        try:
            stage_postgres(uri, query, parameters, rows, description)
        finally:
            rows.close()
    else:
        stage_alchemy(server, query, parameters, out, description)
