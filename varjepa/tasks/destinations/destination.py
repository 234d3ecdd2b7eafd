"""The entrance: opens OUT for writing, wherever it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path

from varjepa.config.uris import DATABASES, OBJECTS, VECTORS, home_expanded, scheme_of, without_scheme
from varjepa.errors import ConfigError
from varjepa.redaction import has_secret, redacted_uri
from varjepa.tasks.destinations.databases import database_target
from varjepa.tasks.destinations.delta import DeltaTarget
from varjepa.tasks.destinations.local_file import OUTPUTS, TableWriter, require_file, table_writer
from varjepa.tasks.destinations.objects import ObjectTarget
from varjepa.tasks.destinations.target import Mode, Target
from varjepa.tasks.sources.address import described, expanded
from varjepa.tasks.sources.delta import is_delta
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.sources.run_day import planned_day, with_day
from varjepa.tasks.sources.stages import staged


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


def require_destination(out: str, *, force: bool = False, append: bool = False) -> None:
    """Checks OUT before any work is done for it, as far as this machine can: servers are asked when it is opened.

    Raises:
        ConfigError: OUT cannot be written, or is there already.
    """
    _require_plain(out, force=force, append=append)
    address = expanded(with_day(out, planned_day()))
    if not scheme_of(address) and not is_delta(address):
        require_file(Path(address), force=force, append=append)


def require_other_place(source: str, out: str) -> None:
    """Checks that OUT is neither the table that is read nor a file that its folder or glob would hold from then on.

    Args:
        source: place of the table that a command reads.
        out: where its answer goes; --force would replace the table by it.

    Raises:
        ConfigError: it is.
    """
    read, written = (expanded(with_day(place, planned_day())).rstrip("/") for place in (source, out))
    if scheme_of(read) or scheme_of(written):
        same = read.removeprefix("delta://") == written.removeprefix("delta://")
        inside = scheme_of(read) in OBJECTS and written.rpartition("/")[0] == read
    else:
        table, file = (home_expanded(place).resolve() for place in (read, written))
        same, inside = file == table, _takes_in(table, file)
    if same:
        raise ConfigError(f"OUT, {described(written)}, is the table that is read.", fix="Choose another name.")
    if inside:
        raise ConfigError(
            f"OUT, {described(written)}, would be one of the files of the table {described(read)}.",
            fix="Choose another name or folder.",
        )


def _takes_in(table: Path, file: Path) -> bool:
    """Whether a folder or glob, both absolute, takes a file for rows of its table."""
    if has_magic(str(table)) and not table.exists():
        return file.match(str(table))
    if not table.is_dir() or not file.is_relative_to(table) or file.name.startswith((".", "_")):
        return False
    return all("=" in folder for folder in file.relative_to(table).parts[:-1])


def is_written(out: str) -> bool:
    """Whether OUT, a file of this machine or of an object store, is there already.

    Raises:
        ConfigError: OUT is no file.
    """
    address = expanded(out)
    if not address.endswith(OUTPUTS) or scheme_of(address) not in ("", *OBJECTS):
        raise ConfigError(
            f"{described(address)} is no file.", expected="Expected a .parquet or .csv file for each day."
        )
    if not scheme_of(address):
        return Path(address).exists()
    with reaching(described(address), "written"):
        return ObjectTarget(address, described(address), "create").bucket.exists()


def _require_plain(out: str, *, force: bool, append: bool) -> None:
    if has_secret(out):
        raise ConfigError(
            f"{redacted_uri(out)} contains a password.",
            fix="Put it into a variable of the environment and write ${NAME}.",
        )
    if force and append:
        raise ConfigError("--force replaces the table and --append adds to it.", expected="Expected one of them.")


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
    _require_plain(out, force=force, append=append)
    address = expanded(with_day(out, planned_day()))
    mode: Mode = "replace" if force else "append" if append else "create"
    description = described(address)
    with reaching(description, "written"):
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
        with reaching(description, "written"):
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
