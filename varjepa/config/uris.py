"""Addresses of tables: local paths and URIs. Text only; nothing is opened here."""

import re
from pathlib import Path

from varjepa.redaction import VARIABLE

OBJECTS = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss")
"""Object stores."""

WEB = ("https", "http")
LAKES = ("delta", "iceberg")
DATABASES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite", "duckdb", "mssql")
VECTORS = "lancedb"
"""A vector database: rows are written to it, none are read."""

IN_FILES = ("sqlite", "duckdb")
"""Databases that are local files."""

SCHEMES = (*OBJECTS, *WEB, *LAKES, *DATABASES, "file")

METADATA = ".metadata.json"
"""End of the name of an Iceberg table's description."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.-]+)(?:\+[\w.-]+)?://")


def scheme_of(path: str) -> str:
    """What stands before `://`, in lower case and without a driver; empty for local paths.

    Examples:
        >>> scheme_of("postgresql+psycopg2://host/db")
        'postgresql'
        >>> scheme_of("C:/tables/people.csv")
        ''
    """
    match = _SCHEME.match(path)
    return match[1].lower() if match else ""


def without_scheme(path: str) -> str:
    """What stands after `://`.

    Examples:
        >>> without_scheme("delta://s3://bucket/orders")
        's3://bucket/orders'
    """
    return path.partition("://")[2]


def is_local(path: str) -> bool:
    """Whether the address is a path of this machine, not a URI or a variable that may hold one."""
    return not scheme_of(path) and not VARIABLE.match(path)


def home_expanded(path: str | Path) -> Path:
    """The path with the home of a user in place of `~`; as it is where nobody is called so, as in `~$book.xlsx`.

    Examples:
        >>> home_expanded("~$book.xlsx").name
        '~$book.xlsx'
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def beside(folder: Path, path: str) -> str:
    """The address with its local path relative to `folder`; URIs of other machines stay as they are.

    Examples:
        >>> beside(Path("jobs"), "sqlite:///shop.db#orders")
        'sqlite:///jobs/shop.db#orders'
        >>> beside(Path("jobs"), "s3://bucket/people.csv")
        's3://bucket/people.csv'
    """
    scheme = scheme_of(path)
    if is_local(path):
        return str(folder / home_expanded(path))
    if scheme in IN_FILES:
        return f"{path.partition('://')[0]}:///{folder / home_expanded(database_file(path))}" + fragment(path)
    rest = without_scheme(path)
    if is_local(rest) and (scheme == "delta" or (scheme == "iceberg" and rest.endswith(METADATA))):
        return f"{scheme}://{folder / home_expanded(rest)}"
    return path


def database_file(path: str) -> str:
    """The file of a SQLite or DuckDB URI: relative after three slashes, absolute after four.

    Examples:
        >>> database_file("sqlite:////data/shop.db#orders")
        '/data/shop.db'
    """
    return without_scheme(path).partition("#")[0].partition("?")[0].removeprefix("/")


def fragment(path: str) -> str:
    """The part of a URI that names a table, with its `#`; empty if there is none."""
    return "".join(path.partition("#")[1:])
