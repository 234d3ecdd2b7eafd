"""Dropout drops every element with the stated probability."""

import pytest
import torch

from tests.unit.nn.test_dropout import hit
from varjepa.evaluation.benchmark.predictors.stacking import Streams
from varjepa.nn.dropout import zero_
from varjepa.nn.random import Randomness, StackedRandomness


@pytest.mark.parametrize("rate", [0.001, 0.3, 0.9])
def test_every_element_is_dropped_with_the_stated_probability(rate: float) -> None:
    random, n, repeats = Randomness.seeded(7), 500, 400
    dropped = torch.stack([zero_(torch.ones(n), hit(n, rate, random)) == 0 for _ in range(repeats)]).double()
    # Totals and positions within 5.5 standard errors: false alarms below 1e-6 (Bonferroni over 500 positions at 6).
    error = (rate * (1 - rate) / (n * repeats)) ** 0.5
    assert abs(float(dropped.mean()) - rate) < 5.5 * error
    assert (dropped.mean(0) - rate).abs().max() < 6 * (rate * (1 - rate) / repeats) ** 0.5 + 3 / repeats
    neighbours = (dropped[:, 1:] * dropped[:, :-1]).mean()
    assert abs(float(neighbours) - rate**2) < 6 * (rate**2 / (n * repeats)) ** 0.5


def test_dropout_keeps_the_expectation() -> None:
    keep = Streams(StackedRandomness.seeded([0, 1])).keep((20, 5001), 0.2)
    # 5 standard errors of the mean of 100,020 numbers.
    assert abs(float(keep.mean()) - 1) < 5 * (0.25 / keep.numel()) ** 0.5
    assert float((keep == 0).float().mean()) == pytest.approx(51 / 256, abs=0.007)
    assert not torch.equal(keep[:10], keep[10:])
