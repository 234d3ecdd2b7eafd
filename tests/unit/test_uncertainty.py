"""Uncertainty measures, their comparison, calibration of probabilities, and the certificate."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss

from tests.conftest import random_table, small_network
from tests.unit.test_t_jepa import small_t_jepa
from varjepa.config.heads import UncertaintySection
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.probe import fit_probe
from varjepa.evaluation.uncertainty.calibration import (
    adaptive_calibration_error,
    fit_temperature,
    ks_uniform,
    negative_log_likelihood,
    recalibrated,
)
from varjepa.evaluation.uncertainty.certificate import certify
from varjepa.evaluation.uncertainty.compare_measures import (
    against_truth,
    choose,
    class_coverage,
    compare,
    family_level,
    resampled_aurc,
)
from varjepa.evaluation.uncertainty.metrics import brier_score
from varjepa.evaluation.uncertainty.selective import aurc, risk_coverage
from varjepa.inference.measures import VARIATIONAL, FittedUncertainty, Measures, fit_uncertainty
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork


def asked(network: TableNetwork, table: TableTensors) -> Measures:
    embedding = embed(network, table)
    labels = (
        table.numeric[:, 0] + 0.5 * torch.randn(table.n_rows, generator=torch.Generator().manual_seed(0)) > 0
    ).long()
    probe = fit_probe(embedding.mean.flatten(1), labels, n_classes=2, l2=1e-2)
    section = UncertaintySection(draws=4, masks=3, ensemble=2)
    fitted = fit_uncertainty(probe, (embedding, labels), (embedding, labels), section=section, seed=0)
    return Measures(network, probe, replace(fitted, temperature=1.3), section, 0)


def test_measures_do_not_depend_on_the_rows_beside_them() -> None:
    network, table = small_network(), random_table(300)
    measures = asked(network, table)
    names = measures.available()
    assert set(names) > {*VARIATIONAL, "distance", "ensemble"}
    whole = measures(table, embed(network, table), names)
    index = torch.randperm(300, generator=torch.Generator().manual_seed(1))[:40]
    part = measures(table.rows(index), embed(network, table.rows(index)), names)
    for name in names:
        assert whole[name].shape == (300,)
        assert torch.isfinite(whole[name]).all(), name
        torch.testing.assert_close(part[name], whole[name][index], rtol=1e-3, atol=1e-5)
        alone = measures(table, embed(network, table), [name])
        torch.testing.assert_close(alone[name], whole[name])


def test_parts_of_the_propagated_entropy_add_up() -> None:
    network, table = small_network(), random_table(200)
    measures = asked(network, table)
    found = measures(table, embed(network, table), measures.available())
    total = found["propagated_aleatoric"] + found["propagated_epistemic"]
    torch.testing.assert_close(found["propagated"], total)
    for name in ("propagated_epistemic", "mask_disagreement", "surprise", "distance"):
        assert (found[name] >= -1e-9).all(), name
    assert ((found["max_probability"] >= 0) & (found["max_probability"] <= 0.5)).all()


def test_the_error_probe_learns_which_scales_go_with_errors() -> None:
    table = random_table(2000, missing=0.0)
    embedding = embed(small_network(), table)
    mean, scale = torch.zeros_like(embedding.mean), torch.ones_like(embedding.mean)
    generator = torch.Generator().manual_seed(0)
    unsure = torch.rand(2000, generator=generator) < 0.5
    scale[unsure, 0, 0] = 0.2  # a smaller scale, which the mean over scales would take for more certainty
    labels = torch.randint(2, (2000,), generator=generator)
    mean[:, 0, 0] = torch.where(unsure, torch.randint(2, (2000,), generator=generator), labels).float()
    told = embedding._replace(mean=mean, scale=scale)
    probe = fit_probe(mean.flatten(1), labels, n_classes=2, l2=1e-3)
    fitted = fit_uncertainty(probe, (told, labels), (told, labels), section=UncertaintySection(ensemble=1), seed=0)
    measures = Measures(small_network(), probe, fitted, UncertaintySection(), 0)
    found = measures(table, told, ["weighted_scale", "scale_mean"])
    assert found["weighted_scale"][unsure].min() > found["weighted_scale"][~unsure].max()
    assert found["scale_mean"][unsure].max() < found["scale_mean"][~unsure].min()


def test_t_jepa_has_the_measures_that_need_no_scales() -> None:
    network, table = small_t_jepa(), random_table(100)
    measures = asked(network, table)
    assert not set(measures.available()) & set(VARIATIONAL)
    assert {"max_probability", "ensemble", "distance"} <= set(measures.available())
    found = measures(table, embed(network, table), measures.available())
    assert all(torch.isfinite(values).all() for values in found.values())


def test_what_was_fitted_comes_back_from_arrays() -> None:
    fitted = asked(small_network(), random_table(200)).fitted
    again = FittedUncertainty.from_tensors(
        fitted.tensors(), temperature=1.3, measure="entropy", reason="", certificate=None
    )
    assert set(again.tensors()) == set(fitted.tensors())
    assert all(torch.equal(again.tensors()[name], value) for name, value in fitted.tensors().items())


def test_resampled_areas_are_those_of_sorted_resamples() -> None:
    rng = np.random.default_rng(0)
    uncertainty, error = rng.random(200), rng.random(200) < 0.3
    found = resampled_aurc({"max_probability": uncertainty}, error, seed=5, resamples=3)["max_probability"]
    rng = np.random.default_rng(5)
    picks = [rng.integers(200, size=200) for _ in range(3)]
    for area, rows in zip(found, picks, strict=True):
        # Copies of a row count as one tie of equal risk there, hence the tolerance.
        assert area == pytest.approx(aurc(risk_coverage(uncertainty[rows], error[rows].astype(float))), abs=0.01)


def ranked(error: np.ndarray, strength: float, seed: int) -> np.ndarray:
    return strength * error + np.random.default_rng(seed).normal(size=len(error))


def test_another_measure_ships_only_where_it_is_better_beyond_doubt() -> None:
    error = np.random.default_rng(0).random(1500) < 0.2
    good, weak = ranked(error, 2.5, 1), ranked(error, 1.0, 2)
    level = family_level(2)
    assert choose(compare({"max_probability": weak, "entropy": good}, error, level=level))[0] == "entropy"
    for other in (weak, ranked(error, 2.5, 3)):
        name, reason = choose(compare({"max_probability": good, "entropy": other}, error, level=level))
        assert name == "max_probability"
        assert "beyond doubt" in reason


def test_the_choice_is_wrong_as_rarely_as_it_says() -> None:
    """Twelve measures that rank equally well: in 100 tables another one than the first may be taken 5 times or so."""
    taken = 0
    for trial in range(100):
        error = np.random.default_rng(trial).random(300) < 0.2
        names = ("max_probability", *VARIATIONAL[:6])
        measures = {name: ranked(error, 1.5, 100 * trial + k) for k, name in enumerate(names)}
        taken += choose(compare(measures, error, level=family_level(len(names)), seed=trial))[0] != "max_probability"
    assert taken <= 12  # binomial(100, 0.05) exceeds 12 with probability 0.001


def test_classes_that_are_kept_less_often_show() -> None:
    classes = np.array([0] * 500 + [1] * 500)
    uncertainty = np.r_[np.linspace(0, 0.5, 500), np.linspace(0.3, 1, 500)]
    coverage = class_coverage(uncertainty, classes, ["easy", "hard"])
    assert coverage["easy"] == 1.0
    assert coverage["hard"] == pytest.approx(0.6, abs=0.01)


def test_a_measure_of_the_truth_is_found_to_go_with_it() -> None:
    known = np.random.default_rng(0).random(1000)
    found = against_truth({"distance": known**3, "surprise": -known}, known)
    assert found["distance_spearman"] == pytest.approx(1)
    assert found["distance_auc"] == 1.0
    assert found["surprise_spearman"] == pytest.approx(-1)
    assert found["surprise_auc"] == 0.0


def probabilities(rows: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 3)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return logits, (rng.random((rows, 1)) > chances.cumsum(1)).sum(1)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_comes_out(factor: float) -> None:
    logits, labels = probabilities()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.05)
    assert fit_temperature(logits[:0], labels[:0]) == 1.0


def test_scores_of_probabilities_equal_scikit_learn() -> None:
    logits, labels = probabilities(500)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert negative_log_likelihood(chances, labels) == pytest.approx(log_loss(labels, chances))
    two = np.c_[chances[:, 0] + chances[:, 2], chances[:, 1]]
    assert brier_score(two, (labels == 1).astype(int)) == pytest.approx(2 * brier_score_loss(labels == 1, two[:, 1]))
    by_hand = np.square(chances - np.eye(3)[labels]).sum(1).mean()
    assert brier_score(chances, labels) == pytest.approx(by_hand)
    # Where a class was held for impossible the log loss is ours alone: scikit-learn stops at 36 nats.
    impossible, truth = np.array([[1.0 - 1e-200, 1e-200], [0.5, 0.5]]), np.array([1, 0])
    assert negative_log_likelihood(impossible, truth) == pytest.approx((200 * np.log(10) + np.log(2)) / 2)
    confidence = np.random.default_rng(1).uniform(0.5, 1, 30_000)
    honest = np.random.default_rng(2).random(30_000) < confidence
    assert adaptive_calibration_error(confidence, honest) < 0.015
    assert adaptive_calibration_error(confidence, np.ones(30_000, bool)) == pytest.approx(0.25, abs=0.01)


def test_recalibrated_residuals_pass_where_raw_ones_fail() -> None:
    rng = np.random.default_rng(0)
    known, new = rng.beta(0.6, 0.9, 4000), rng.beta(0.6, 0.9, 4000)
    assert ks_uniform(new) > 0.1
    # Two-sample Kolmogorov-Smirnov at a false-alarm rate of 1e-4: 2.2 sqrt(2 / n).
    assert ks_uniform(recalibrated(new, known)) < 2.2 * (2 / 4000) ** 0.5


def population(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty and correctness; 95% are right among the 60% surest."""
    rng = np.random.default_rng(seed)
    uncertainty = rng.random(rows)
    return uncertainty, rng.random(rows) < 0.99 - 0.4 * uncertainty**2.5


def test_the_promise_is_broken_as_rarely_as_it_says() -> None:
    """300 calibration parts, 90% confidence: at most 10% of promises may be broken, with room for chance."""
    truth, right = population(400_000, 10**6)
    other = population(1000, 10**6 + 1)[0]
    broken, coverage = 0, []
    for trial in range(300):
        uncertainty, correct = population(1000, trial)
        certificate = certify(uncertainty, correct, other, accuracy=0.95, confidence=0.9)
        if certificate.threshold is not None:
            broken += right[truth <= certificate.threshold].mean() < 0.95
            coverage.append(certificate.coverage)
    assert broken <= 30
    assert np.mean(coverage) > 0.5  # and it accepts most of what it may
    assert len(coverage) >= 285


def test_where_nothing_can_be_promised_that_is_said() -> None:
    uncertainty, _ = population(500, 0)
    poor = np.random.default_rng(1).random(500) < 0.7
    none = certify(uncertainty, poor, uncertainty, accuracy=0.95, confidence=0.9)
    assert none.threshold is None
    assert none.coverage == 0
    assert "no threshold keeps 95.0%" in none.reason
    few = certify(uncertainty[:20], poor[:20], uncertainty, accuracy=0.95, confidence=0.9)
    assert few.threshold is None
    assert "20 calibration rows are too few: even without an error it takes 45" in few.reason
    sure = certify(uncertainty, np.ones(500, bool), uncertainty, accuracy=0.95, confidence=0.9)
    assert sure.coverage == 1.0
