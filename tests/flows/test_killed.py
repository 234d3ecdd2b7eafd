"""Whoever notices a killed run, or a schedule that is silent, tells people once."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.unit.tasks.notify.receivers import web_hook
from varjepa.config import RetrainConfig, parse_config
from varjepa.tasks.notify.events import failures_told
from varjepa.tasks.notify.killed import tell_killed
from varjepa.tasks.notify.lookout import lookout
from varjepa.tasks.tracking.runs import opened_run
from varjepa.tasks.tracking.store import client_of, experiment_id

HEADING = "varjepa: people: the run failed"


@pytest.fixture
def config(migrated: Path, tmp_path: Path) -> RetrainConfig:
    (tmp_path / "mlflow.db").write_bytes(migrated.read_bytes())
    return parse_config({
        "data": {"name": "sim"}, "registry": {"name": "people"}, "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"},
        "notify": [{"urls": "HOOK"}],
    })  # fmt: skip


def killed_run(config: RetrainConfig, name: str = "people", step: str = "retrain") -> str:
    """A run in progress, whose process was killed."""
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = f"{process.pid}@{psutil.Process(process.pid).create_time():.2f}"
        process.kill()
    tags = {"varjepa.step": step, "varjepa.host": socket.gethostname(), "varjepa.process": owner}
    run = client_of(config.tracking).create_run(
        experiment_id(config.tracking), tags=tags, run_name=f"{step} {name} 2026-06-01 03:00:00"
    )
    client_of(config.tracking).log_param(run.info.run_id, "registry.name", name)
    return str(run.info.run_id)


def test_a_killed_run_is_told_once_and_only_to_its_own_people(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK", raising=False)
    run_id = killed_run(config)
    killed_run(config, "people two")
    assert tell_killed(config) == 0  # nobody could be reached
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        noticing = [threading.Thread(target=tell_killed, args=(config,)) for _ in range(3)]
        for thread in noticing:
            thread.start()
        for thread in noticing:
            thread.join()
        with failures_told(config), opened_run(config.tracking, command="drift", name="people"):
            pass  # ends the killed run, of which people know already
        assert client_of(config.tracking).get_run(run_id).info.status == "KILLED"
        assert tell_killed(config) == 0
    assert [body["title"] for body in bodies] == [HEADING]
    assert "`varjepa retrain`" in bodies[0]["message"]
    assert f"Run: {run_id}" in bodies[0]["message"]


def test_a_run_that_was_ended_by_others_is_told_and_one_that_was_interrupted_is_not(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = killed_run(config)
    with opened_run(config.tracking, command="evaluate", name="other"):  # which has no rules for messages
        pass
    with pytest.raises(KeyboardInterrupt), opened_run(config.tracking, command="retrain", name="people"):
        raise KeyboardInterrupt
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        assert [tell_killed(config), tell_killed(config)] == [1, 0]
    assert f"Run: {ended}" in bodies[0]["message"]


@pytest.fixture
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM is Ctrl-C, as in every command."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("sigterm_interrupts")
def test_a_second_signal_leaves_no_run_open(config: RetrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal's Ctrl-C reaches a scheduled run, and a moment later the schedule ends it."""
    from mlflow import MlflowClient

    def signalled(client: MlflowClient, *words: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        plain(client, *words)

    plain, opened = MlflowClient.set_tag, opened_run(config.tracking, command="retrain", name="people", told=True)
    with pytest.raises(KeyboardInterrupt), opened as run_id:  # noqa: PT012 (signals come while the block ends)
        monkeypatch.setattr(MlflowClient, "set_tag", signalled)  # itself, after another signal
        signal.raise_signal(signal.SIGTERM)
    run = client_of(config.tracking).get_run(run_id)
    assert (run.info.status, run.data.tags["verdict"]) == ("KILLED", "interrupted")


@pytest.mark.usefixtures("sigterm_interrupts")
@pytest.mark.parametrize("patient", [True, False])
def test_an_interrupted_write_does_not_lock_out_the_last_words(config: RetrainConfig, *, patient: bool) -> None:
    """The traceback of an interruption held the connection, and with it SQLite's lock, almost every time."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = client_of(config.tracking) if patient else MlflowClient(config.tracking.uri)
    for number in range(6):
        timer = threading.Timer(0.03 + 0.01 * number, os.kill, (os.getpid(), signal.SIGTERM))
        opened = opened_run(config.tracking, command="retrain", name="people")
        with pytest.raises(KeyboardInterrupt), opened as run_id:  # noqa: PT012 (it writes until it is interrupted)
            timer.start()
            for step in range(10_000):
                client.log_batch(run_id, metrics=[Metric("loss", 1.0, 0, step)])
        began = time.monotonic()
        assert client.get_run(run_id).info.status == "KILLED"
        client.set_tag(run_id, "seen", "yes")
        assert time.monotonic() - began < 5  # SQLite alone waits for a lock longer


def test_a_served_schedule_notices_killed_runs_and_silence_once_each(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_run(config)
    silent = config.model_copy(update={"watch": config.watch.model_copy(update={"silent_after": "1s"})})
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("HOOK", hook)
        time.sleep(1)
        with lookout(silent, seconds=0.05):
            end = time.monotonic() + 30
            while len(bodies) < 2 and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(0.5)
        assert not any(thread.name == "lookout" for thread in threading.enumerate())
    assert [body["title"] for body in bodies] == [HEADING, "varjepa: people: the schedule is silent"]


def test_a_job_without_rules_looks_for_nothing(config: RetrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("varjepa.tasks.notify.killed.client_of", never)
    quiet, before = config.model_copy(update={"notify": ()}), set(threading.enumerate())
    with failures_told(quiet), lookout(quiet, seconds=0.01):
        assert not any(thread.name == "lookout" for thread in set(threading.enumerate()) - before)
