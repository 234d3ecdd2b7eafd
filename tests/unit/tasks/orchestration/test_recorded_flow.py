"""Flows and tasks run as plain functions where no server answers, with the same results and retries."""

import logging
from collections.abc import Iterator

import pytest
from prefect import unmapped
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.store_servers import free_port
from varjepa.config import PreprocessSection
from varjepa.errors import DataError
from varjepa.tasks.orchestration.parallel_map import workers
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.steps import orchestrated
from varjepa.tasks.steps.orchestrated import task, without_orchestration
from varjepa.tasks.steps.retries import retried_task

calls: list[int] = []


@task(name="add")
def add(a: int, b: int = 1) -> int:
    return a + b


@retried_task("stumble", seconds=0)
def stumble(error: Exception, times: int) -> int:
    calls.append(1)
    if len(calls) <= times:
        raise error
    return len(calls)


@flow(name="sum", validate_parameters=True)
def total(first: int) -> list[int]:
    mapped = add.map([first, 2], b=10).result()
    both = add.map(unmapped(first), [5, 6]).result()
    return [add(first), add.submit(first, b=2).result(), *mapped, *both, stumble(OSError("busy"), 2)]


@flow(name="asks")
def plain() -> bool:
    return without_orchestration()


@pytest.fixture(autouse=True)
def one_run() -> Iterator[None]:
    calls.clear()
    with orchestrated.one_run():
        yield


def test_a_flow_without_a_server_runs_plainly_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("varjepa"), "propagate", True)
    url = f"http://me:secret@127.0.0.1:{free_port()}/api"
    with temporary_settings({PREFECT_API_URL: url}), caplog.at_level("WARNING"):
        assert total(1) == [2, 3, 11, 12, 6, 7, 3]
        assert total.with_options(name="other")(first=1)[0] == 2
        assert plain()
    assert "does not answer" in caplog.messages[0]
    assert "same results, but Prefect has no record of this run" in caplog.messages[0]
    assert not any("secret" in message for message in caplog.messages)


def test_a_plain_task_is_not_retried_after_a_mistake_of_the_user() -> None:
    orchestrated.go_without("There is no server.")
    with pytest.raises(DataError):
        stumble(DataError("no such file"), 9)
    assert len(calls) == 1
    calls.clear()
    with pytest.raises(OSError, match="busy"):
        stumble(OSError("busy"), 9)
    assert len(calls) == 3


def test_a_plain_map_needs_no_runner() -> None:
    orchestrated.go_without("There is no server.")
    with workers(PreprocessSection(runner="processes", workers=2)) as mapped:
        assert list(mapped(abs, [-1, 2])) == [1, 2]
