"""Diagnostics of aggregated latents against closed forms and sampling floors."""

import math

import pytest
import torch

from tests.conftest import random_table, small_network
from varjepa.evaluation.benchmark.published import compare, published_means
from varjepa.evaluation.latents.aggregate import diagnose, kl_aggregate, sampling_floors, sigreg_mse
from varjepa.evaluation.latents.table_latents import table_diagnostics
from varjepa.evaluation.probe import stacked_accuracy
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness, StackedRandomness

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


def test_stacked_probes_find_what_is_there() -> None:
    x = gaussian(3, 9000)
    knows, noise = (x[..., 0] > 0).long(), (gaussian(3, 9000, seed=9)[..., 0] > 0).long()
    random = StackedRandomness.seeded(range(3))
    half = slice(0, 8000), slice(8000, 9000)

    def accuracy(y: torch.Tensor) -> torch.Tensor:
        return stacked_accuracy((x[:, half[0]], y[:, half[0]]), (x[:, half[1]], y[:, half[1]]), random)

    assert accuracy(knows).min() > 0.95
    # 1,000 test rows: 5 standard errors around chance.
    assert (accuracy(noise) - 0.5).abs().max() < 5 * 0.5 / 1000**0.5


def test_the_published_table_is_whole_and_compared_cell_by_cell() -> None:
    assert len(published_means()) == 10 * 2 * 5
    results = {"A": {f"{latent}/{name}": [0.5, 1.5] for _, latent, name in published_means()}}
    cells = {(cell.latent, cell.diagnostic): cell for cell in compare(results)}
    assert len(cells) == 10
    cell = cells["s_y", "mean_norm"]
    assert (cell.published, cell.ours, cell.runs) == (1.32, 1.0, 2)
    assert cell.difference == pytest.approx((1.0 - 1.32) / 0.5)
    alone = compare({"A": {name: values[:1] for name, values in results["A"].items()}})
    assert all(cell.sd is None and cell.difference is None for cell in alone)


def test_latents_of_a_table_are_measured_where_they_are_observed() -> None:
    network, table = small_network(), random_table(300, missing=0.3)
    found = table_diagnostics(network, table, Randomness.seeded(0))
    assert set(found) == {
        f"{latent}_{name}{floor}"
        for latent in ("s_x", "z")
        for name in sampling_floors(1, 1)
        for floor in ("", "_floor")
    }
    assert all(math.isfinite(value) for value in found.values())
    # A feature that is never observed has no latent; whatever stands in its cells changes nothing.
    hidden = table._replace(observed=table.observed.index_fill(1, torch.tensor([0]), value=False))
    other = hidden._replace(numeric=hidden.numeric.index_fill(1, torch.tensor([0]), 7.0))
    again = [table_diagnostics(network, part, Randomness.seeded(0)) for part in (hidden, other)]
    assert again[0] == again[1]
    assert table_diagnostics(network, table.rows(slice(0, 10)), Randomness.seeded(0)) == {}
