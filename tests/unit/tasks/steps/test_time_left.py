"""Every long step says how long it still takes, in plain words, also where there is no terminal."""

import logging
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varjepa.config.heads import GeneratorSection
from varjepa.flows.stopwatch import STEPS, Stopwatch
from varjepa.tasks.retrain.progress import training_progress
from varjepa.tasks.steps import time_left as module
from varjepa.tasks.steps.time_left import collected, time_left


@dataclass
class Lines(logging.Handler):
    """Keeps what is logged."""

    def __post_init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    __hash__ = logging.Handler.__hash__


@pytest.fixture
def lines():
    logger, handler = logging.getLogger("varjepa"), Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@given(st.none() | st.floats(-1e3, 1e7))
def test_the_time_left_has_its_name_and_is_never_a_dash(seconds) -> None:
    words = time_left(seconds)
    assert words.startswith("time left: ")
    assert "-" not in words


def test_epochs_are_lines_without_control_characters_where_there_is_no_terminal(lines, capfd) -> None:
    metrics = {"validation/elbo": -1.0, "training/rows_per_second": 100.0, "selection/score": 1.0}
    with training_progress(3, 1000) as progress:
        progress.on_progress(0, 500, {"elbo": -2.0}, 100.0)
        for epoch in range(3):
            progress.on_epoch({**metrics, "epoch": float(epoch), "training/seconds": 40.0})
    assert [line.rpartition(", ")[2] for line in lines] == [
        "time left: 1 min 20 s",
        "time left: 40 s",
        "time left: 0 s",
    ]
    assert "\x1b" not in "".join(capfd.readouterr())


def test_collected_results_keep_their_order_and_show_the_time_left(lines, monkeypatch) -> None:
    monkeypatch.setattr(module, "SHOW_EVERY", -1.0)

    @dataclass
    class Ready:
        value: int

        def result(self) -> int:
            return self.value

    assert collected([Ready(value) for value in range(4)], "cells") == [0, 1, 2, 3]
    assert lines == [f"{done} of 4 cells, time left: 0 s" for done in (1, 2, 3, 4)]


def test_each_step_is_announced_once_with_its_number(lines) -> None:
    watch = Stopwatch()
    for name in ("ingest", "track", "pretrain", "ingest"):
        with watch(name):
            pass
    assert lines == [
        f"step 1 of {len(STEPS)}: {STEPS['ingest']}",
        f"step 4 of {len(STEPS)}: {STEPS['pretrain']}",
    ]
    assert watch.report().keys() == {"ingest", "track", "pretrain", "total"}


@given(st.integers(1, 10**9), st.integers(1, 5000), st.integers(1, 1000), st.integers(1, 4096))
def test_the_generator_makes_no_more_steps_than_either_limit(rows, max_steps, max_epochs, batch_size) -> None:
    section = GeneratorSection(max_steps=max_steps, max_epochs=max_epochs, batch_size=batch_size)
    steps, batch = section.steps(rows), section.batch(rows)
    assert 1 <= steps <= max_steps
    assert 1 <= batch <= min(rows, batch_size)
    assert steps <= math.ceil(max_epochs * rows / batch)
