"""Diagnostics of aggregated latents against closed forms and sampling floors."""

import math

import pytest
import torch

from varjepa.evaluation.latents.aggregate import diagnose, kl_aggregate, sampling_floors, sigreg_mse
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness

RUNS, ROWS, D = 40, 1000, 8


def gaussian(runs: int = RUNS, rows: int = ROWS, seed: int = 0) -> torch.Tensor:
    return torch.randn(runs, rows, D, generator=torch.Generator().manual_seed(seed))


def test_kl_aggregate_equals_the_closed_form() -> None:
    # Rows whose plug-in moments are exactly a mean and a diagonal covariance: two per axis direction.
    mean, var = torch.arange(4.0), torch.tensor([0.5, 1.0, 2.0, 4.0])
    axes = torch.diag((4 * var).sqrt())
    rows = torch.cat([mean + axes, mean - axes])
    expected = 0.5 * (var.sum() + mean.square().sum() - 4 - var.log().sum())
    torch.testing.assert_close(kl_aggregate(rows), expected.double())


def test_perfect_latents_lie_on_their_floors() -> None:
    sample = gaussian()
    posterior = DiagonalGaussian(torch.zeros_like(sample), torch.zeros_like(sample))
    found, floors = diagnose(posterior, sample, Randomness.seeded(1)), sampling_floors(ROWS, D)
    # Expectations over 40 runs; floors are first-order in 1 / N, hence 10%.
    for name in ("kl_agg", "sigreg_mse", "cov_frobenius", "mean_norm"):
        assert float(found[name].mean()) == pytest.approx(floors[name], rel=0.1), name
    torch.testing.assert_close(found["mutual_information"], -found["kl_agg"])
    assert float(found["active_units"].max()) == floors["active_units"]
    alive = diagnose(DiagonalGaussian(sample, torch.zeros_like(sample)), sample, Randomness.seeded(1))
    assert float(alive["rankme"].mean()) == pytest.approx(floors["rankme"], rel=0.002)


def test_faults_stand_out_from_the_floor() -> None:
    floors, random = sampling_floors(ROWS, D), Randomness.seeded(0)
    for fault in (gaussian(1) + 1, gaussian(1) * 2, gaussian(1).abs()):
        posterior = DiagonalGaussian(fault, torch.zeros_like(fault))
        found = diagnose(posterior, fault, random)
        for name in ("kl_agg", "sigreg_mse", "cov_frobenius"):
            # A shift leaves the covariance alone.
            if not (name == "cov_frobenius" and torch.equal(fault, gaussian(1) + 1)):
                assert float(found[name]) > 3 * floors[name], name


def test_mutual_information_by_elbo_surgery() -> None:
    # s = signal + noise with unit total variance: I = -1/2 log(1 - share) per dimension, and the aggregate is N(0, I).
    share = 0.6
    signal = gaussian(4, 20_000) * share**0.5
    posterior = DiagonalGaussian(signal, torch.full_like(signal, math.log(1 - share)))
    found = diagnose(posterior, posterior.sample(Randomness.seeded(2)), Randomness.seeded(0))
    expected = -0.5 * math.log(1 - share) * D
    torch.testing.assert_close(found["mutual_information"], torch.full((4,), expected).double(), rtol=0.01, atol=0)


def test_sigreg_mse_does_not_depend_on_the_other_runs() -> None:
    together = sigreg_mse(gaussian(3), Randomness.seeded(4))
    alone = torch.cat([sigreg_mse(run[None], Randomness.seeded(4)) for run in gaussian(3)])
    torch.testing.assert_close(together, alone)
