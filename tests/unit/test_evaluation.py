"""Probes, selective prediction, calibration and latent diagnostics against independent computations."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from tests.conftest import random_table, small_network
from varjepa.config import MaskingSection
from varjepa.evaluation.auroc import auroc
from varjepa.evaluation.epoch_scores import ProbeEvaluator
from varjepa.evaluation.latents.latents import active_units, predictor_residuals, rankme
from varjepa.evaluation.probe import best_probe, fit_probe
from varjepa.evaluation.uncertainty.calibration import expected_calibration_error, ks_uniform, pit_values, reliability
from varjepa.evaluation.uncertainty.metrics import Classified, classification_metrics, uncertainty_metrics
from varjepa.evaluation.uncertainty.selective import (
    augrc,
    aurc,
    excess_aurc,
    oracle,
    risk_at,
    risk_coverage,
)
from varjepa.nn.random import Randomness


def labelled(n: int = 600, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)) * [1, 10, 0.1, 1, 1] + 3
    logits = (x - 3) / [1, 10, 0.1, 1, 1] @ rng.normal(size=(5, classes)) * 2
    y = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_logistic_probe_equals_scikit_learn(l2: float) -> None:
    x, y = labelled()
    probe = fit_probe(x, y, n_classes=3, l2=l2)
    standard = ((x - probe.center) / probe.spread).numpy()
    theirs = LogisticRegression(C=1 / (l2 * len(y)), max_iter=1000, tol=1e-8).fit(standard, y)
    ours = probe.predict(x).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(standard), atol=2e-3)


def test_ridge_probe_equals_scikit_learn_and_constant_inputs_do_no_harm() -> None:
    x, _ = labelled()
    x = torch.cat([x, torch.full((len(x), 1), 5.0)], dim=1)
    y = x[:, 0] * 2 - x[:, 1] + 7
    probe = fit_probe(x, y, n_classes=0, l2=0.01)
    standard = ((x - probe.center) / probe.spread).numpy()
    theirs = Ridge(alpha=0.01 * len(y)).fit(standard, y)
    np.testing.assert_allclose(probe.predict(x)[:, 0], theirs.predict(standard), rtol=1e-4, atol=1e-3)


def test_the_penalty_is_chosen_on_validation_rows() -> None:
    x, y = labelled(60, seed=1)
    noise = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    other_x, other_y = labelled(400, seed=1)
    other_noise = torch.randn(400, 40, generator=torch.Generator().manual_seed(1))
    train, validation = (torch.cat([x, noise], 1), y), (torch.cat([other_x, other_noise], 1), other_y)
    assert best_probe(train, validation, n_classes=3, l2=(1e-5, 1e-1)).l2 == 1e-1


def test_risk_coverage_against_loops_and_ties() -> None:
    rng = np.random.default_rng(0)
    uncertainty, loss = rng.random(50), (rng.random(50) < 0.3).astype(float)
    curve = risk_coverage(uncertainty, loss)
    order = np.argsort(uncertainty)
    for k in (1, 7, 50):
        assert curve.risk[k - 1] == pytest.approx(loss[order[:k]].mean())
        assert curve.coverage[k - 1] == k / 50
    assert aurc(curve) == pytest.approx(np.mean([loss[order[:k]].mean() for k in range(1, 51)]))
    constant = risk_coverage(np.zeros(50), loss)
    assert np.allclose(constant.risk, loss.mean())
    assert aurc(oracle(loss)) <= aurc(curve)
    # The best possible AURC in closed form, for many rows: r + (1 - r) ln(1 - r).
    many = (np.arange(100_000) < 20_000).astype(float)
    assert excess_aurc(oracle(many), many) == 0
    # Random order: an error rate r at every coverage c gives r c on average, and the area is r / 2.
    flat = risk_coverage(np.zeros(len(many)), many)
    assert augrc(flat) == pytest.approx(many.mean() / 2, rel=1e-2)
    assert augrc(oracle(many)) < augrc(flat)
    assert aurc(oracle(many)) == pytest.approx(0.2 + 0.8 * np.log(0.8), abs=1e-4)
    assert risk_at(curve, 0.5) == curve.risk[24]


def test_failure_auroc_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(1)
    uncertainty, error = rng.integers(0, 8, 200).astype(float), rng.random(200) < 0.3
    assert auroc(uncertainty, error) == pytest.approx(roc_auc_score(error, uncertainty))
    assert np.isnan(auroc(uncertainty, np.zeros(200, dtype=bool)))
    endless = np.where(uncertainty == uncertainty.max(), np.inf, uncertainty)
    assert auroc(endless, error) == auroc(uncertainty, error)


def test_calibration_error_finds_overconfidence() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1, 50_000)
    honest = expected_calibration_error(confidence, rng.random(50_000) < confidence)
    correct = rng.random(50_000) < confidence - 0.1
    boastful = expected_calibration_error(confidence, correct)
    assert honest < 0.01
    assert boastful == pytest.approx(0.1, abs=0.01)
    bins = reliability(confidence, correct)  # what the diagram shows is what the number sums up
    assert bins.rows.sum() == 50_000
    assert boastful == pytest.approx(np.abs(bins.confidence - bins.accuracy) @ bins.rows / 50_000)


def test_ks_distance_equals_scipy() -> None:
    values = np.random.default_rng(3).beta(2, 1, 500)
    assert ks_uniform(values) == pytest.approx(kstest(values, "uniform").statistic)
    assert ks_uniform(pit_values(np.random.default_rng(3).normal(size=20_000))) < 0.02


def test_latent_diagnostics_know_dead_from_alive() -> None:
    alive = torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))
    assert rankme(alive) == pytest.approx(8, abs=0.1)
    assert rankme(alive[:, :1].expand(-1, 8)) == pytest.approx(1, abs=1e-6)
    assert active_units(torch.cat([alive, torch.zeros(2000, 3) + 5], dim=1)) == 8


def test_predictor_residuals_are_standard_where_posterior_is_prior() -> None:
    network, table = small_network(), random_table(512, missing=0.0)

    class Echo(torch.nn.Module):
        """A predictor that knows the posterior: what it predicts is calibrated by construction."""

        def forward(self, s_x, z, masks, random=None):
            from varjepa.nn.gaussian import DiagonalGaussian

            index = masks.targets[:, 0, :, None].expand(-1, -1, 16)
            return DiagonalGaussian(*(part.gather(1, index)[:, None] for part in self.posterior))

    echo = Echo()
    original = network.infer

    def infer(*arguments):
        posterior = original(*arguments)
        echo.posterior = posterior.s_w
        return posterior

    network.infer, network.predictor = infer, echo
    residuals = predictor_residuals(network, table, MaskingSection(), Randomness.seeded(0), 128)
    # One-sample KS critical value at a false-alarm rate of 1e-6 is about 2.7 / sqrt(n).
    assert ks_uniform(pit_values(residuals.numpy().astype(float))) < 2.7 / len(residuals) ** 0.5


def test_reports_name_what_users_look_for() -> None:
    rng = np.random.default_rng(4)
    probabilities = rng.dirichlet([1, 1, 1], 300)
    labels = np.array([rng.choice(3, p=row) for row in probabilities])
    result = Classified(probabilities, labels)
    assert set(classification_metrics(result)) == {"accuracy", "balanced_accuracy", "f1_weighted", "f1_macro"}
    metrics = uncertainty_metrics(result, latent=result.msp_uncertainty)
    assert metrics["selective/aurc"] == metrics["selective_msp/aurc"]
    assert metrics["selective_msp/accuracy_50"] > classification_metrics(result)["accuracy"]
    assert metrics["calibration/ece"] < 0.1


@pytest.mark.parametrize("selective", [False, True])
def test_the_evaluator_prefers_embeddings_that_know_the_label(selective: bool) -> None:
    network, table = small_network(), random_table(400, missing=0.0)
    known = (table.numeric[:, 0] > 0).long()
    shuffled = known[torch.randperm(400, generator=torch.Generator().manual_seed(0))]
    scores = []
    for labels in (known, shuffled):
        train, validation = table.rows(slice(0, 300)), table.rows(slice(300, 400))
        evaluator = ProbeEvaluator(train, labels[:300], validation, labels[300:], 2, selective, "mean")
        scores.append(evaluator(network)[0])
    assert scores[0] > scores[1] + 0.2
