"""SIGReg: its mean under a standard normal, and uniform directions."""

import math

import pytest
import torch

from tests.unit.objective.test_sigreg import FREQUENCIES, sample
from varjepa.nn.random import Randomness
from varjepa.objective.sigreg import (
    characteristic_errors,
    epps_pulley,
    random_directions,
)


def test_mean_under_a_standard_normal() -> None:
    rounds, rows = 4000, 64
    x = sample(rounds, rows, seed=2)
    values = rows * epps_pulley(characteristic_errors(x, FREQUENCIES), FREQUENCIES)
    expected = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))
    assert expected == pytest.approx(1.0594, abs=5e-5)
    # 5 standard errors: false alarms below 1e-6.
    assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / rounds**0.5


def test_directions_are_uniform_unit_vectors_and_seeded() -> None:
    directions = random_directions(6, 20_000, Randomness.seeded(0))
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(20_000))
    # Second moments of the uniform distribution on the sphere: I / d, each within 6 standard errors.
    torch.testing.assert_close(
        directions.T @ directions / 20_000, torch.eye(6) / 6, rtol=0, atol=6 * 0.24 / 20_000**0.5
    )
    assert torch.equal(directions, random_directions(6, 20_000, Randomness.seeded(0)))
