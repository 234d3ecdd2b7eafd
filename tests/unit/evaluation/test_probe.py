"""Linear probes against scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from tests.unit.evaluation.latents.test_aggregate import gaussian
from varjepa.evaluation.probe import StandardInputs, best_probe, fit_probe, stacked_accuracy
from varjepa.nn.random import StackedRandomness


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


@pytest.mark.parametrize("most_solved", [1024, 0], ids=["a number per row", "conjugate gradients"])
@pytest.mark.parametrize("shared", [0.0, 10.0])
def test_ridge_probe_of_more_inputs_than_rows_equals_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, most_solved: int, shared: float
) -> None:
    """As of a wide table, whose embedding has 48,000 numbers: their products took 18 GB."""
    monkeypatch.setattr("varjepa.evaluation.ridge.MOST_EXACT", most_solved)  # either way, on a small table
    # Fewer directions than rows, as of a table of many rows.
    monkeypatch.setattr("varjepa.evaluation.preconditioners.LEADING", 20)
    generator = torch.Generator().manual_seed(0)
    x = 3 + torch.randn(90, 200, generator=generator) + shared * torch.randn(90, 1, generator=generator)
    y = x[:, 0] - x[:, 1] + 0.1 * torch.randn(90, generator=generator) + 7
    probe = fit_probe(x, y, n_classes=0, l2=0.01)
    standard = ((x - probe.center) / probe.spread).numpy()
    theirs = Ridge(alpha=0.01 * len(y)).fit(standard, y)
    np.testing.assert_allclose(probe.predict(x)[:, 0], theirs.predict(standard), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(probe.weight[0], theirs.coef_, rtol=1e-2, atol=1e-4)


def wide_rows(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """3,000 inputs that ten factors and noise of their own make, and classes by one of the factors."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, 10))
    x = factors @ np.random.default_rng(99).normal(size=(10, 3000)) + 3 * rng.normal(size=(rows, 3000))
    return torch.tensor(x).float(), torch.tensor((factors[:, 0] + rng.logistic(size=rows) > 0).astype(np.int64))


@pytest.mark.slow
def test_more_inputs_than_rows_converge_within_the_usual_iterations() -> None:
    x, y = wide_rows(500, 0)
    inputs = StandardInputs.of(x, n_classes=2)
    usual, long = (inputs.fit(y, n_classes=2, l2=1.0, max_iterations=most) for most in (40, 5000))
    plain = inputs._replace(covariance=None).fit(y, n_classes=2, l2=1.0, max_iterations=40)
    far = float((plain.predict(x.clone()) - long.predict(x.clone())).abs().max())
    near = float((usual.predict(x.clone()) - long.predict(x.clone())).abs().max())
    assert near < 1e-3
    assert near < far / 5, (near, far)


@pytest.mark.slow
def test_penalties_grow_beyond_the_candidates_where_there_are_many_inputs() -> None:
    """On 48,000 inputs the candidates had a log loss of 1.9 on new rows, where guessing has 0.69."""
    train, validation, (x, y) = (wide_rows(rows, seed) for seed, rows in enumerate((500, 300, 2000)))
    chosen = best_probe(train, validation, n_classes=2, l2=(1e-4, 1e-3, 1e-2))
    stands = best_probe(train, validation, n_classes=2, l2=(1e-2,))
    losses = [float(F.cross_entropy(probe.predict(x.clone()), y)) for probe in (chosen, stands)]
    assert (chosen.l2 > 0.05, stands.l2) == (True, 1e-2)
    assert losses[0] < min(0.68, losses[1] - 0.1), losses
    values = [(inputs, labels.double()) for inputs, labels in (train, validation)]
    assert best_probe(*values, n_classes=0, l2=(1e-4, 1e-2)).l2 > 0.05


def test_the_penalty_is_chosen_on_validation_rows() -> None:
    x, y = labelled(60, seed=1)
    noise = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    other_x, other_y = labelled(400, seed=1)
    other_noise = torch.randn(400, 40, generator=torch.Generator().manual_seed(1))
    train, validation = (torch.cat([x, noise], 1), y), (torch.cat([other_x, other_noise], 1), other_y)
    assert best_probe(train, validation, n_classes=3, l2=(1e-5, 1e-1)).l2 >= 1e-1


@pytest.mark.slow
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


@pytest.mark.slow
@given(
    classes=st.integers(2, 5), width=st.integers(1, 30), shared=st.floats(0, 0.99), l2=st.sampled_from([1e-4, 1e-2, 1]),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=25)
def test_correlated_inputs_lead_to_the_same_minimum(
    classes: int, width: int, shared: float, l2: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(200, 2)) @ rng.normal(size=(2, width))
    x = torch.tensor(
        10.0 ** rng.integers(-3, 4) * (shared * factors + (1 - shared) * rng.normal(size=(200, width)) + 2)
    ).float()
    y = torch.tensor(rng.integers(classes, size=200))
    inputs = StandardInputs.of(x, n_classes=classes)
    fitted, plain = (
        each.fit(y, n_classes=classes, l2=l2, max_iterations=2000)
        for each in (inputs, inputs._replace(covariance=None))
    )
    assert inputs.covariance is not None
    losses = [
        float(F.cross_entropy(probe.predict(x).double(), y) + 0.5 * l2 * probe.weight.double().square().sum())
        for probe in (fitted, plain)
    ]
    assert losses[0] <= losses[1] + 1e-5


def test_an_ill_conditioned_probe_converges_within_the_usual_iterations() -> None:
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(800, 100)) @ rng.normal(size=(100, 100)) * np.geomspace(1, 50, 100)).float()
    x = torch.cat([x, x + 0.05 * torch.tensor(rng.normal(size=x.shape)).float()], dim=1)
    y = torch.tensor((x[:, :3].sum(1) > 0).numpy().astype(np.int64))
    inputs = StandardInputs.of(x, n_classes=2)
    usual, long = (inputs.fit(y, n_classes=2, l2=1e-3, max_iterations=most) for most in (50, 5000))
    torch.testing.assert_close(usual.predict(x), long.predict(x), atol=0.02, rtol=0)


def rare_categories(rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sixty categories, most of them rare, one column each; some of them decide the class."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, 61) ** 1.5
    codes = rng.choice(60, p=chances / chances.sum(), size=(rows, 2))
    x = np.concatenate([np.eye(60)[codes[:, 0]], np.eye(60)[codes[:, 1]]], axis=1)
    logits = 3 * np.sin(codes).sum(1) - 2
    return torch.tensor(x).float(), torch.tensor((logits + rng.logistic(size=rows) > 0).astype(np.int64))


def test_penalties_are_compared_within_few_evaluations_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of raw columns with rare categories they took hundreds, and had not converged."""
    (x, y), validation = rare_categories(4000, 0), rare_categories(1000, 1)
    evaluations, loss = [], F.cross_entropy

    def counted(*args: torch.Tensor) -> torch.Tensor:
        evaluations.append(1)
        return loss(*args)

    monkeypatch.setattr("varjepa.evaluation.logistic.F.cross_entropy", counted)  # as it is, and counted
    best = best_probe((x, y), validation, n_classes=2, l2=(1e-4, 1e-3, 1e-2))
    assert len(evaluations) < 140, len(evaluations)
    weight, bias = best.weight.double().requires_grad_(), best.bias.double()
    standard = ((x - best.center) / best.spread).double()
    (loss(F.linear(standard, weight, bias), y) + 0.5 * best.l2 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-4


def test_a_probe_of_other_rows_changes_only_the_way_to_the_minimum() -> None:
    (x, y), other = rare_categories(3000, 0), fit_probe(*rare_categories(3000, 5), n_classes=2, l2=1e-3)
    probes = [fit_probe(x, y, n_classes=2, l2=1e-3, like=like) for like in (None, other)]
    losses = [float(F.cross_entropy(probe.predict(x.clone()).double(), y) + 5e-4 * probe.weight.double().square().sum())
              for probe in probes]  # fmt: skip
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.parametrize(("rows", "width"), [(1, 3), (5, 5), (4, 40), (30, 1)])
def test_few_rows_are_fitted(rows: int, width: int) -> None:
    x, y = torch.randn(rows, width, generator=torch.Generator().manual_seed(0)), torch.arange(rows) % 2
    assert fit_probe(x, y, n_classes=2, l2=1e-2).predict(x).isfinite().all()


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1.0, 1e25, 1e30])
def test_the_penalty_does_not_depend_on_the_unit_of_the_label(scale: float) -> None:
    x, _ = labelled(300)
    y = (x[:, 0] * 2 + x[:, 3]).double() * scale
    best = best_probe((x[:200], y[:200]), (x[200:], y[200:]), n_classes=0, l2=(1.0, 1e-3))
    assert best.l2 == 1e-3
