"""The ELBO against exact likelihoods, and the schedules."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from tests.small_networks import random_table, small_network
from varjepa.data.tensors.table import TableTensors
from varjepa.models.masks import Masks
from varjepa.models.network import Generated, Posterior
from varjepa.nn.decoders import Likelihood
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import LossTerms, Weights, loss_terms, masked_mean

A, C, D, E, NOISE_X, NOISE_Y, PRIOR = 0.8, 0.7, 0.9, 1.1, 0.6, 0.5, 0.4
"""x = A s_x + noise_x; s_y = C s_x + D z + N(0, PRIOR); w = E s_y + noise_y; one feature each, everything scalar."""


def gaussian(mean: torch.Tensor, var: float) -> DiagonalGaussian:
    return DiagonalGaussian(mean, torch.full_like(mean, math.log(var)))


def linear_terms(x: torch.Tensor, y: torch.Tensor, c: float, q_var: tuple[float, float, float], seed: int) -> LossTerms:
    """Loss terms of the scalar linear-Gaussian model for given posterior variances, with exact posterior means."""
    random = Randomness.seeded(seed)
    s_x = gaussian(x * A / (A**2 + NOISE_X), q_var[0])
    s_x_value = s_x.sample(random)
    # Given s_x, the exact posterior of z and then of s_y under y = E (c s_x + D z + noise) + noise_y.
    total = E**2 * (D**2 + PRIOR) + NOISE_Y
    z = gaussian(D * E / total * (y - E * c * s_x_value), q_var[1])
    z_value = z.sample(random)
    prior = gaussian(c * s_x_value + D * z_value, PRIOR)
    precision = 1 / PRIOR + E**2 / NOISE_Y
    s_y = gaussian((prior.mean / PRIOR + E * y / NOISE_Y) / precision, q_var[2])
    s_y_value = s_y.sample(random)
    # Two features: 0 is the context x, 1 the target y; each loss term sees only its own.
    rows = len(x)
    table = TableTensors(
        torch.cat([x, y], 1), torch.zeros(rows, 0, dtype=torch.long), torch.ones(rows, 2, dtype=torch.bool)
    )
    context, targets = torch.zeros(rows, 1, dtype=torch.long), torch.ones(rows, 1, 1, dtype=torch.long)
    masks = Masks(context, torch.ones(rows, 1, dtype=torch.bool), targets, torch.ones(rows, 1, 1, dtype=torch.bool))
    s_w = DiagonalGaussian(*(torch.stack([torch.zeros_like(p), p], 1) for p in s_y))
    posterior = Posterior(s_x, z, s_w, s_x_value[:, None], z_value, s_y_value[:, None])
    posterior = posterior._replace(s_x=DiagonalGaussian(*(p[:, None] for p in s_x)))
    seen = Likelihood(gaussian(torch.cat([A * s_x_value, torch.zeros_like(y)], 1), NOISE_X), (), ())
    made = Likelihood(gaussian(torch.cat([torch.zeros_like(x), E * s_y_value], 1), NOISE_Y), (), ())
    generated = Generated(DiagonalGaussian(*(p[:, None, None] for p in prior)), seen, made)
    terms = loss_terms(table, masks, posterior, generated)
    # `gen` averages over both features; only the target's half belongs to this model.
    ours = 2 * terms.gen + made.numeric.log_prob(table.numeric)[:, 0]
    return terms._replace(gen=ours)


def exact(x: torch.Tensor, y: torch.Tensor, c: float) -> torch.Tensor:
    """log p(x, y)."""
    covariance = torch.tensor([[A**2 + NOISE_X, A * c * E], [A * c * E, E**2 * (c**2 + D**2 + PRIOR) + NOISE_Y]])
    return MultivariateNormal(torch.zeros(2), covariance).log_prob(torch.cat([x, y], 1))


S_X_VAR = NOISE_X / (A**2 + NOISE_X)

Z_VAR = 1 - (D * E) ** 2 / (E**2 * (D**2 + PRIOR) + NOISE_Y)

S_Y_VAR = 1 / (1 / PRIOR + E**2 / NOISE_Y)


@pytest.mark.parametrize("q_var", [(S_X_VAR, Z_VAR, S_Y_VAR), (0.1, 0.1, 0.1), (1.0, 2.0, 0.5)])
def test_minus_the_loss_bounds_the_exact_log_likelihood(q_var: tuple[float, float, float]) -> None:
    x, y = torch.tensor([[0.7]]), torch.tensor([[-1.2]])
    draws = 200_000
    elbo = -linear_terms(x.expand(draws, 1), y.expand(draws, 1), C, q_var, seed=1).loss(Weights())
    # The bound holds for the expectation: 5 standard errors, false alarms below 1e-6.
    assert float(elbo.mean()) <= float(exact(x, y, C)) + 5 * float(elbo.std()) / draws**0.5


def test_the_bound_is_tight_at_the_exact_posterior() -> None:
    # With c = 0 the target says nothing about s_x, so the factorised q holds the exact posterior.
    x, y = torch.randn(8, 1, generator=torch.Generator().manual_seed(0)), torch.linspace(-2, 2, 8)[:, None]
    draws = 100_000
    terms = [
        linear_terms(x[i].expand(draws, 1), y[i].expand(draws, 1), 0.0, (S_X_VAR, Z_VAR, S_Y_VAR), seed=i)
        for i in range(8)
    ]
    elbo = torch.stack([-t.loss(Weights()).mean() for t in terms])
    errors = torch.stack([t.loss(Weights()).std() for t in terms]) / draws**0.5
    assert ((elbo - exact(x, y, 0.0)).abs() < 5 * errors + 1e-6).all()


def test_terms_against_loops() -> None:
    network, table = small_network(), random_table(12, missing=0.3)
    random = Randomness.seeded(2)
    masks = _masks(table, random)
    posterior, generated = network(table, masks, random)
    terms = loss_terms(table, masks, posterior, generated)
    numeric, codes = table.blanked()
    likelihoods = [g.log_prob(numeric, codes) for g in (generated.context, generated.row)]
    for row in range(12):
        context = masks.context[row][masks.context_valid[row]].tolist()
        seen = table.observed[row].nonzero()[:, 0].tolist()
        rec = [-likelihoods[0][row, j] for j in context]
        gen = [-likelihoods[1][row, j] for j in seen]
        kl_sy = []
        for k in range(masks.targets.shape[1]):
            for slot, j in enumerate(masks.targets[row, k].tolist()):
                if masks.targets_valid[row, k, slot]:
                    q = DiagonalGaussian(*(part[row, j] for part in posterior.s_w))
                    p = DiagonalGaussian(*(part[row, k, slot] for part in generated.s_y))
                    kl_sy.append(q.kl(p).sum())
        for found, values in ((terms.rec, rec), (terms.gen, gen), (terms.kl_sy, kl_sy)):
            expected = torch.stack(values).mean() if values else torch.tensor(0.0)
            torch.testing.assert_close(found[row], expected)


def _masks(table: TableTensors, random: Randomness) -> Masks:
    from varjepa.models.masks import draw_masks

    return draw_masks(table.observed, (2, 3), 2, random)


def test_masked_mean_of_nothing_is_zero() -> None:
    values = torch.tensor([[1.0, torch.nan], [torch.nan, torch.nan]])
    assert masked_mean(values, torch.tensor([[True, False], [False, False]])).tolist() == [1.0, 0.0]
