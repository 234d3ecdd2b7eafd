"""The generator that another process trains beside the heads is the one that its own step would train."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.flows.conftest import person_table, pretrained_of, write_job
from tests.waiting import eventually
from varjepa.config import load_config
from varjepa.tasks.retrain import beside
from varjepa.tasks.retrain.beside import generator_beside
from varjepa.tasks.retrain.generate import generate
from varjepa.tasks.steps.reuse import DONE, fresh, own_results_known
from varjepa.tasks.tracking.runs import opened_run

pytestmark = pytest.mark.slow

FILES = ("generator.safetensors", "bars.json", "reference.json")


@pytest.fixture(scope="module")
def trained(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """What the step and the process read, in its folder, and the files of the generator that the step trains alone."""
    home = tmp_path_factory.mktemp("beside")
    (home / "mlflow.db").write_bytes(migrated.read_bytes())
    generator = {"max_steps": 200, "evaluations": 10, "patience": 10}
    job = write_job(home, person_table(), generator=generator, training={"checkpoint_minutes": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        config = load_config(job, [f"tracking.uri=sqlite:///{home}/mlflow.db"])
        with opened_run(config.tracking, command="retrain", name="people") as run_id:
            found = pretrained_of(config, run_id)
        inputs = (found.prepared, found.pretrained, found.config)
        alone = generate.fn(*inputs)
        yield SimpleNamespace(inputs=inputs, alone={name: (alone.folder / name).read_bytes() for name in FILES})


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Results of other tests are not there, and whatever is to be trained is worth a process."""
    monkeypatch.setattr(beside, "LEAST_DRAWN", 1)  # a table that is worth a process takes a minute
    monkeypatch.setattr(beside, "cores", lambda: 2)  # also on a machine with one
    token = fresh.set((request.node.name,))
    yield
    fresh.reset(token)


def made(trained: SimpleNamespace) -> dict[str, bytes]:
    """The files of the step's result."""
    folder = generate.fn(*trained.inputs).folder
    return {name: (folder / name).read_bytes() for name in FILES}


def processes_of_the_generator() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if beside.__name__ in one.cmdline()]


def folder_of(trained: SimpleNamespace) -> Path:
    return beside.generator_folder(*trained.inputs[1:])


@pytest.mark.usefixtures("afresh")
def test_the_step_finds_the_result_of_the_process(trained: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "varjepa"), own_results_known():
        with generator_beside(*trained.inputs) as ended:
            ended()
            assert (folder_of(trained) / DONE).is_file()
        assert made(trained) == trained.alone
    assert "generator, step 200 of 200" in caplog.text
    assert "INFO generator" not in caplog.text
    assert "generate: made earlier in this run, reusing" in caplog.text


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    processes_of_the_generator()[0].kill()


@pytest.mark.usefixtures("afresh")
@pytest.mark.parametrize("end", [interrupt, kill])
def test_the_step_goes_on_where_the_process_was_ended(trained: SimpleNamespace, end: Callable[[], None]) -> None:
    began = 0.0
    try:
        with generator_beside(*trained.inputs) as ended:
            (process,) = processes_of_the_generator()
            eventually((folder_of(trained) / "checkpoint.pt").is_file, "a checkpoint")
            began = time.monotonic()
            end()
            ended()
    except KeyboardInterrupt:
        pass
    assert time.monotonic() - began < 4  # the time that a command has
    assert not process.is_running()
    assert not (folder_of(trained) / DONE).is_file()
    assert (folder_of(trained) / "checkpoint.pt").is_file()
    assert made(trained) == trained.alone


@pytest.mark.usefixtures("afresh")
def test_there_is_no_process_for_little_or_for_what_is_there(
    trained: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, pretrained, config = trained.inputs
    assert beside.worth_a_process(prepared, config)
    without = config.model_copy(update={"generator": config.generator.model_copy(update={"n_layers": 0})})
    assert not beside.worth_a_process(prepared, without)
    for name, value in (("LEAST_DRAWN", 10**9), ("MOST_HELD", 10), ("cores", lambda: 1)):
        with monkeypatch.context() as patch:
            patch.setattr(beside, name, value)
            assert not beside.worth_a_process(prepared, config)
    folder_of(trained).mkdir()
    (folder_of(trained) / DONE).touch()
    with generator_beside(prepared, pretrained, config) as ended:
        assert not processes_of_the_generator()
        ended()


@pytest.mark.usefixtures("afresh")
def test_the_log_says_where_the_training_stops_before_its_last_step(
    trained: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    prepared, pretrained, config = trained.inputs
    generator = config.generator.model_copy(update={"max_steps": 4000, "evaluations": 100, "patience": 1})
    with caplog.at_level(logging.INFO, "varjepa"):
        generate.fn(prepared, pretrained, config.model_copy(update={"generator": generator}))
    stopped = re.search(r"the generator stops at step (\d+) of (\d+): its loss on validation rows", caplog.text)
    assert stopped is not None
    assert int(stopped[1]) < int(stopped[2])
    assert f"generator, step {stopped[1]} of" in caplog.text
