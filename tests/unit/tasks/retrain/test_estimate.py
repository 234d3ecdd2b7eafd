"""The estimate of a retrain follows the load of the machine: it is made again after the training."""

import logging

import pytest

from varjepa.config import parse_config
from varjepa.tasks.retrain.estimate import Estimate, announce_rest
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
