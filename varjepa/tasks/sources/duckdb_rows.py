"""Rows of a query on a DuckDB file, which DuckDB itself writes to Parquet in bounded memory."""

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from varjepa.errors import DataError
from varjepa.machine import cores
from varjepa.tasks.sources.duckdb_budget import Budget
from varjepa.tasks.sources.query_text import bound, one_select
from varjepa.tasks.sources.staged_rows import note_texts, require_names

MEMORY = 1_000_000_000
"""Bytes that DuckDB may use; sorts and joins beyond it go to disk."""

NESTED = ("STRUCT", "MAP", "UNION", "BLOB", "BIT", "JSON", "GEOMETRY", "VARIANT")


def stage_duckdb(file: Path, query: str, parameters: Mapping[str, Any], out: Path, description: str) -> None:
    """Reads a query from a file that is opened read-only.

    Args:
        file: the database.
        query: a SELECT with `:name` for parameters.
        parameters: name -> value, bound by DuckDB.
        out: Parquet file; decimals with places become floats, intervals seconds, nested types text.
        description: of the database, for messages.

    Raises:
        ConfigError: the query is not one SELECT, or lacks a parameter.
        DataError: no such file, or two columns have the same name.
    """
    import duckdb

    text, names = bound(one_select(query), parameters, lambda name, _: f"${name}")
    values = {name: parameters[name] for name in names}
    if not file.is_file():
        raise DataError(f"No such file: {file}.", fix="Check data.path: duckdb:////ABSOLUTE or duckdb:///RELATIVE.")
    budget = Budget(MEMORY, cores())
    settings: dict[str, Any] = {"memory_limit": f"{MEMORY}B", "temp_directory": str(out.parent / "duckdb")}
    with closing(duckdb.connect(str(file), read_only=True, config=settings)) as connection:
        connection.execute(f"DESCRIBE {text}", values or None)
        described = connection.fetchall()
        require_names([row[0] for row in described], description)
        plain = ", ".join(_plain(row[0], str(row[1])) for row in described)
        place = str(out).replace("'", "''")
        threads, rows = budget.of_copy(columns=len(described))
        connection.execute(f"SET threads = {threads}")
        # A wrapped query cannot be anything but a SELECT: DuckDB's COPY writes files even if the database is read-only.
        connection.execute(
            f"COPY (SELECT {plain} FROM (\n{text}\n)) TO '{place}' "  # noqa: S608 (a checked SELECT)
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {rows})",
            values or None,
        )


def _plain(column: str, kind: str) -> str:
    """The expression that gives a column a plain type, under its name."""
    name = '"' + column.replace('"', '""') + '"'
    if re.fullmatch(r"DECIMAL\(\d+,0\)", kind):  # may hold keys with more digits than a float
        return name
    if kind.startswith(("DECIMAL", "HUGEINT", "UHUGEINT", "BIGNUM")):
        return f"{name}::DOUBLE AS {name}"
    if kind == "INTERVAL":
        return f"epoch({name})::DOUBLE AS {name}"
    if kind.startswith("TIMESTAMP") and "TIME ZONE" not in kind:
        return f"CASE WHEN isfinite({name}) THEN {name}::TIMESTAMP END AS {name}"
    if kind.startswith(("ENUM", "UUID", "TIME WITH", *NESTED)) or kind.endswith("]"):
        if kind.startswith(NESTED) or kind.endswith("]"):
            note_texts([column])
        return f"{name}::VARCHAR AS {name}"
    return name
