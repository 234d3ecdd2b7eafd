"""How tests are collected and shared, fixtures of many files, and the places of optional real data."""

import os
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.forked import Forks
from tests.forked import forks as new_forks
from tests.hostile_table import hostile_home  # noqa: F401 (a fixture)
from tests.scheduling import SharedModelScheduling, mark_shared_models, slow_files_first
from tests.store_servers import mariadb_server, open_folder, postgres_server, s3, s3_server  # noqa: F401 (fixtures)
from varjepa.tasks.steps.imports import quick_imports

if TYPE_CHECKING:
    # The process that hands out the tests imports this file, too, before any worker starts: PyTorch takes a second.
    from varjepa.data.encode.preprocessor import Preprocessor
    from varjepa.data.tensors.shards import Shards

# How fast a machine is at the moment says nothing about the code.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with quick_imports():  # otherwise collecting takes twice the processor time
        return (yield)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    slow_files_first(items)
    mark_shared_models(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedModelScheduling | None:
    return SharedModelScheduling(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts processes of the command line without the time of their imports, and with no server to record flows."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    with new_forks(kept) as made:
        yield made


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tracking database, migrated once (7 s) and copied where one is needed."""
    from varjepa.tasks.tracking.store import client_for

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    client_for(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One server for all flows of a process: the product's own temporary one.

    It starts with a third of the processor time of Prefect's for tests.
    """
    from prefect.settings import (
        PREFECT_API_DATABASE_CONNECTION_URL,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    from varjepa.tasks.orchestration.temporary_server import TemporaryServer

    database = tmp_path_factory.mktemp("prefect") / "prefect.db"
    with temporary_settings({
        PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{database}",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # every flow run would wait up to a second for their thread to end
    }):  # fmt: skip
        server = TemporaryServer()
        server.start(timeout=120)
        assert database.is_file()  # and no other one is written to
        with sqlite3.connect(database) as made, sqlite3.connect(database.with_name("empty.db")) as copy:
            made.backup(copy)
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            yield


@pytest.fixture(scope="session")
def prefect_api(prefect_server: None) -> str:
    """Address of that server, for processes that need not start one of their own."""
    from prefect.settings import PREFECT_API_URL

    return str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def prefect_database(prefect_server: None) -> Path:
    """An empty database of a Prefect server, made once (3 s) and copied into the home of a server of one's own."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    return Path(PREFECT_API_DATABASE_CONNECTION_URL.value().partition("///")[2]).with_name("empty.db")


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    """A small generator on a table whose conditionals are known; tests only look at it."""
    from tests.unit.inference.known_table import trained_generator

    return trained_generator()


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, Preprocessor]":
    """An encoded table and its preprocessor; tests only read it."""
    from tests.unit.data.stored_table import stored_table

    return stored_table(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="session")
def shards(stored: "tuple[Path, Preprocessor]", tmp_path_factory: pytest.TempPathFactory) -> "Shards":
    """Shards of the encoded table; tests only read them."""
    from tests.unit.data.stored_table import sharded

    return sharded(stored, tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def adult() -> Path:
    return _shared("adult.csv.gz")


@pytest.fixture(scope="session")
def covertype() -> Path:
    return _shared("covertype.parquet")


def _shared(name: str) -> Path:
    path = Path(__file__).parents[2] / "shared" / "data" / name
    if not path.is_file():
        pytest.skip(f"{name} is not on this machine")
    return path
