"""Tables and models under the names that OpenLineage gives them, without secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from varjepa.config.uris import DATABASES, IN_FILES, LAKES, WEB, home_expanded, scheme_of, without_scheme
from varjepa.redaction import redacted_uri


class Name(NamedTuple):
    """A data set's name: where it lies, and what it is called there."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Table:
    """What a run reads or writes.

    Attributes:
        name: under which others know it.
        columns: types by name, as far as they are known.
        rows: None where nobody has counted.
        version: fingerprint of the rows, or number of a model; None where there is none.
    """

    name: Name
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None
    version: str | None = None


def name_of(address: str) -> Name:
    """The name of a table by its address.

    Examples:
        >>> name_of("s3://lake/people/june.parquet")
        Name(namespace='s3://lake', name='people/june.parquet')
        >>> name_of("postgresql://me:secret@host/shop#public.orders")
        Name(namespace='postgres://host:5432', name='shop.public.orders')
        >>> name_of("https://host/people.csv?sig=abc")
        Name(namespace='https://host', name='/people.csv')
    """
    shown = redacted_uri(address)
    scheme = scheme_of(shown)
    if scheme in LAKES and scheme_of(without_scheme(shown)):
        return name_of(without_scheme(shown))
    if scheme in LAKES or scheme == "file":
        shown, scheme = without_scheme(shown), ""
    if not scheme:
        return Name("file", str(home_expanded(shown).absolute()))
    if scheme in DATABASES:
        return _in_database(shown, scheme)
    parts = urlsplit(shown)
    if scheme in WEB:
        return Name(f"{scheme}://{_host(shown)}", parts.path or "/")
    return Name(f"{scheme}://{parts.netloc}", parts.path.strip("/") or "/")


PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433}


def _in_database(shown: str, scheme: str) -> Name:
    server, _, table = shown.partition("#")
    parts = urlsplit(server)
    if scheme in IN_FILES:
        return Name(scheme, ".".join(filter(None, (parts.path, table))))
    kind = "postgres" if scheme == "postgresql" else scheme
    host = _host(server)
    host = host if ":" in host else f"{host}:{PORTS[kind]}"
    return Name(f"{kind}://{host}", ".".join(filter(None, (parts.path.strip("/"), table))) or "/")


def _host(shown: str) -> str:
    """Host and port, without the account."""
    return urlsplit(shown).netloc.rpartition("@")[2]


def model(name: str, version: int | str | None, store: str) -> Table:
    """A registered model.

    Args:
        name: in the registry.
        version: its number; None where it is not known.
        store: URI of the tracking store.
    """
    return Table(Name(redacted_uri(store), f"models:/{name}"), version=None if version is None else str(version))


def model_in(uri: str) -> str:
    """What a job is called by: the registered name in a model's URI, or else the last part of a path or an id.

    Examples:
        >>> model_in("models:/people@champion"), model_in("work/assemble-1/model")
        ('people', 'model')
    """
    named = re.fullmatch(r"models:/([^/@]+)[/@].+", uri)
    return named[1] if named else Path(uri).name
