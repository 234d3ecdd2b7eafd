"""The estimate of a retrain follows the load of the machine: it is made again after the training."""

import logging
from types import SimpleNamespace
from typing import cast

import pytest

from varjepa.config import parse_config
from varjepa.tasks.retrain import beside
from varjepa.tasks.retrain.estimate import Estimate, Pace, announce_rest, estimate, takes_a_while
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.log import log

CONFIG = parse_config({"data": {"name": "sim"}, "training": {"max_epochs": 10}})


@pytest.mark.parametrize(
    ("seconds", "epochs", "said"),
    [
        (100.0, 10, "took 1.0 times what was estimated; about 1 min 0 s left"),
        (300.0, 10, "took 3.0 times what was estimated; about 3 min 0 s left"),
        (150.0, 5, "took 3.0 times what was estimated; about 3 min 0 s left"),  # patience ran out
        (1.0, 10, "took 0.5 times what was estimated; about 30 s left"),  # resumed near its end
    ],
)
def test_what_is_left_follows_the_pace_of_the_training(
    seconds: float, epochs: int, said: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    with caplog.at_level(logging.INFO, log.name):
        announce_rest(Estimate(100.0, 40.0, 20.0), CONFIG, seconds, epochs)
    assert said in caplog.text


def test_nothing_is_said_without_a_first_estimate(caplog: pytest.LogCaptureFixture) -> None:
    announce_rest(None, CONFIG, 100.0, 10)
    assert not caplog.records


def test_the_generator_of_a_wide_table_takes_longer_than_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the generator every cell attends to every other: of 1,500 columns it took six times what was said."""
    monkeypatch.setattr(beside, "cores", lambda: 1)  # no process of its own
    prepared, pace = cast("Prepared", SimpleNamespace(parts={"train": 20_000}, features=1500)), Pace(40.0, 1.0)
    wide = CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"n_points": 32})})
    said, before = (estimate(prepared, job, pace).generator for job in (wide, CONFIG))
    assert said == pytest.approx(CONFIG.generator.max_steps * 256 / (40 * 0.65), rel=0.15)
    assert said > 6 * before


def test_a_generator_beside_other_steps_adds_less(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = cast("Prepared", SimpleNamespace(parts={"train": 30_000}, features=14))

    def added(pace: float, cores: int) -> tuple[float, float]:
        monkeypatch.setattr(beside, "cores", lambda: cores)  # the same on every machine
        found = estimate(prepared, CONFIG, Pace(pace, 1.0))
        return found.generator, found.rest

    alone, rest = added(10_000, 1)
    assert added(10_000, 2) == (pytest.approx(0.35 * alone), rest)
    alone, rest = added(10, 1)  # it is at work when all other steps have ended
    assert added(10, 2) == (pytest.approx(alone - rest), rest)


@pytest.mark.parametrize(("rows", "features", "expected"), [(1400, 43, True), (6000, 32, True), (120, 13, False)])
def test_few_rows_of_many_features_are_worth_an_estimate(rows: int, features: int, *, expected: bool) -> None:
    """1,400 rows with two columns of text took seven minutes, without a word of it before."""
    assert takes_a_while(cast("Prepared", SimpleNamespace(parts={"train": rows}, features=features))) is expected
