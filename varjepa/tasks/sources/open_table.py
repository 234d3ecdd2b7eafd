"""The entrance: finds and opens the table of a configuration, wherever it lies."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from glob import has_magic
from pathlib import Path
from typing import ParamSpec, TypeVar

from varjepa.config import DataSection
from varjepa.config.uris import DATABASES, LAKES, METADATA, OBJECTS, SCHEMES, WEB, scheme_of, without_scheme
from varjepa.data.read.sources import Source, open_path, open_source, readable, source_files
from varjepa.errors import ConfigError, InterruptedReadError, listed
from varjepa.tasks.sources.address import described, expanded
from varjepa.tasks.sources.bucket import Bucket
from varjepa.tasks.sources.databases import read_database
from varjepa.tasks.sources.delta import LOG, find_delta, is_delta
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.sources.fingerprints import WatchedFiles
from varjepa.tasks.sources.found_table import FoundTable, Text
from varjepa.tasks.sources.iceberg import find_iceberg
from varjepa.tasks.sources.objects import find_objects
from varjepa.tasks.sources.run_day import dated, planned_day
from varjepa.tasks.sources.stages import stage_for
from varjepa.tasks.sources.web import find_web_file
from varjepa.tasks.steps.log import log

_P = ParamSpec("_P")
_R = TypeVar("_R")


def find_table(data: DataSection, stage: Path, *, quiet: bool = False) -> FoundTable:
    """Finds the table of a configuration, and says which version of it lies there.

    Args:
        data: the configuration.
        stage: folder for copies; databases are read into it at once.
        quiet: do not say what is unusual about the files, as the same command says it elsewhere.

    Raises:
        ConfigError: the address, the query or the version is invalid.
        DataError: there is no table, or it refuses access.
        InterruptedReadError: the server does not answer.
        SetupError: a library for this place is not installed.
    """
    if data.path is None:
        return FoundTable(f"{data.name}", lambda: "", lambda _: open_source(data))
    address = expanded(data.path)
    description = described(address)
    with reads(data):
        found = _find(address, data, stage, description)
    opens = found.open if quiet else _noted(found.open)
    return replace(found, fingerprint=_guarded(found.fingerprint, data), open=_guarded(opens, data),
                   now=None if found.now is None else _guarded(found.now, data))  # fmt: skip


def _find(address: str, data: DataSection, stage: Path, description: str) -> FoundTable:
    scheme = scheme_of(address)
    _require_fitting(address, data, description)
    if scheme in DATABASES:
        return read_database(data, stage)
    if scheme in WEB:
        return find_web_file(address, data, stage, description)
    if _is_lake(address):
        find = find_iceberg if scheme == "iceberg" or address.endswith(METADATA) else find_delta
        return find(without_scheme(address) if scheme in LAKES else address, data, description)
    if scheme in OBJECTS:
        return find_objects(address, data, stage, description)
    watched = WatchedFiles(lambda: source_files(address))
    return FoundTable(address, watched.fingerprint, lambda text: open_path(address, data, text), watched.now)


def _require_fitting(address: str, data: DataSection, description: str) -> None:
    """Checks what only the whole address tells, after variables were put in."""
    scheme = scheme_of(address)
    if scheme and scheme not in SCHEMES:
        raise ConfigError(f"{description} is not a known kind of place.", expected=f"Known: {listed(SCHEMES, 20)}.")
    if data.query is not None and scheme not in DATABASES:
        raise ConfigError(f"{description} is not a database, but data.query is a query on one.")
    if data.at is not None and not _is_lake(address):
        raise ConfigError(f"{description} has no versions.", expected="data.at is for Delta and Iceberg tables.")


def _is_lake(address: str) -> bool:
    """Whether a Delta or Iceberg table lies there."""
    scheme = scheme_of(address)
    if scheme in LAKES or address.endswith(METADATA) or (not scheme and is_delta(address)):
        return True
    return scheme in OBJECTS and not has_magic(address) and Bucket(address).holds(LOG)


def reads(data: DataSection) -> AbstractContextManager[None]:
    """Turns errors while the rows of a table are read into words that name its place."""
    address = "" if data.path is None else expanded(data.path)
    if scheme_of(address) or _is_lake(address):
        return reaching(described(address))
    return readable(address or str(data.name))


def _guarded(call: Callable[_P, _R], data: DataSection) -> Callable[_P, _R]:
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with reads(data):
            return call(*args, **kwargs)

    return guarded


def _noted(opens: Callable[[Text], Source]) -> Callable[[Text], Source]:
    """Says what is unusual about the files when they are opened, once however often they are."""
    told = set[str]()

    def noted(text: Text) -> Source:
        source = opens(text)
        for note in source.notes:
            if note not in told:
                log.info("%s: %s", source.description, note)
        told.update(source.notes)
        return source

    return noted


@contextmanager
def opened_table(data: DataSection, text: Text = None, *, quiet: bool = False) -> Iterator[Source]:
    """Opens a table for as long as the block lasts.

    Args:
        data: the configuration.
        text: for a finished model, the columns that it learned as text; None to find out how columns are spelled.
        quiet: see `find_table`.

    Raises:
        VarjepaError: see `find_table`.
    """
    data = dated(data, planned_day())
    with stage_for(data.path or "") as stage:
        yield find_table(data, stage, quiet=quiet).open(text)


def fingerprint_now(data: DataSection) -> str:
    """The fingerprint of what lies at a place.

    Raises:
        VarjepaError: see `find_table`.
    """
    data = dated(data, planned_day())
    with stage_for(data.path or "") as stage:
        return find_table(data, stage).fingerprint()


def require_unchanged(found: FoundTable, fingerprint: str) -> None:
    """Checks that a table is still what was found before it was read.

    Raises:
        InterruptedReadError: somebody has replaced it meanwhile.
    """
    if found.now is not None and found.now() != fingerprint:
        raise InterruptedReadError(
            f"{found.description} changed while it was read, so its rows may be of two versions. Nothing was kept.",
            fix="Run the same command again.",
        )
