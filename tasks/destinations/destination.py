"""The entrance: opens OUT for writing, wherever it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.destinations.databases import database_target
from tasks.destinations.delta import DeltaTarget
from tasks.destinations.local_file import OUTPUTS, TableWriter, table_writer
from tasks.destinations.objects import ObjectTarget
from tasks.destinations.target import Mode, Target
from tasks.sources.address import described, expanded, secrets_of
from tasks.sources.delta import is_delta
from tasks.sources.failures import reaching
from tasks.sources.run_day import planned_day, with_day
from tasks.sources.stages import staged
from varjepa.config.uris import DATABASES, OBJECTS, VECTORS, has_secret, masked, scheme_of, without_scheme
from varjepa.errors import ConfigError


def holds_arrays(out: str) -> bool:
    """Whether OUT can hold arrays, such as an embedding: CSV files and some databases cannot."""
    address = expanded(out)
    if scheme_of(address) in DATABASES:
        return scheme_of(address) in ("postgresql", "postgres", "duckdb")
    return not address.endswith(".csv")


def holds_structures(out: str) -> bool:
    """Whether OUT can hold lists of structures, such as reasons: text files and databases cannot."""
    address = expanded(out)
    return scheme_of(address) not in DATABASES and not address.endswith(".csv")


@contextmanager
def destination(out: str, *, force: bool = False, append: bool = False) -> Iterator[TableWriter]:
    """Opens OUT for writing. It is created, replaced or appended to only if the block ends without an error.

    Args:
        out: local file, URI of a file in an object store, Delta table, or `#TABLE` of a database, also of LanceDB.
        force: replace what is there.
        append: add rows to the table that is there.

    Raises:
        ConfigError: OUT cannot be written, or is there already.
        DataError: the place refuses access.
        InterruptedReadError: the server does not answer.
    """
    if has_secret(out):
        raise ConfigError(
            f"{masked(out)} contains a password.", fix="Put it into a variable of the environment and write ${NAME}."
        )
    if force and append:
        raise ConfigError("--force replaces the table and --append adds to it.", expected="Expected one of them.")
    address = expanded(with_day(out, planned_day()))
    mode: Mode = "replace" if force else "append" if append else "create"
    description = described(address)
    with reaching(description, secrets_of(address), "written"):
        target = _target(address, description, mode)
        if target is not None:
            target.check()
    if target is None:
        with table_writer(Path(address), force=force, append=append) as writer:
            yield writer
        return
    # Rows are collected on this machine first: what is published is complete, however long its making took.
    with staged() as stage:
        file = stage / f"rows{target.suffix}"
        with table_writer(file, force=False) as writer:
            yield writer
        with reaching(description, secrets_of(address), "written"):
            target.publish(file)


def _target(address: str, description: str, mode: Mode) -> Target | None:
    """The place of a URI or a Delta table; None for local files."""
    scheme = scheme_of(address)
    if scheme == "delta" or (not scheme and is_delta(address)):
        return DeltaTarget(without_scheme(address) if scheme else address, description, mode)
    if not scheme:
        return None
    if scheme in (*DATABASES, VECTORS):
        return database_target(address, description, mode)
    if scheme in OBJECTS and address.endswith(OUTPUTS):
        return ObjectTarget(address, description, mode)
    if scheme in OBJECTS and DeltaTarget(address, description, mode).exists():
        return DeltaTarget(address, description, mode)
    raise ConfigError(
        f"{description} cannot be written.",
        expected="Expected a .parquet or .csv file (local, s3://, gs://, az://), delta://FOLDER, or DATABASE#TABLE.",
    )
