"""Var-JEPA on pairs: the bound on a linear-Gaussian instance, generation, stacked runs, deterministic JEPA."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import StackedRandomness
from varjepa.nn.stacked import StackedGaussian, StackedLinear
from varjepa.objective.elbo import Weights
from varjepa.study.jepa import JEPANetwork
from varjepa.study.pair_terms import paired_terms
from varjepa.study.var_jepa import PairPosterior, PairSizes, VarJEPANetwork

A, C, D, E = 0.8, 0.7, 0.9, 1.1

NOISE_X, NOISE_Y, PRIOR = 0.6, 0.5, 0.4
"""x = A s_x + noise_x; s_y = C s_x + D z + N(0, PRIOR); y = E s_y + noise_y; all scalar, noises are variances."""


def set_linear(layer: StackedLinear, weight: list[list[float]], bias: list[float]) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight)[None])
        layer.bias.copy_(torch.tensor(bias)[None, None])


def set_gaussian(module: StackedGaussian, weights: list[float], var: float) -> None:
    """mean = weights . input, constant variance."""
    set_linear(module.mlp.layers[0], [[weight, 0.0] for weight in weights], [0.0, math.log(var)])


def linear_model(wrong: float = 1.0) -> VarJEPANetwork:
    """The scalar linear-Gaussian model; its posterior is exact but for what the family cannot say.

    q(s_x | x) and q(z | s_x) know nothing of y, so the best in the family is not exact; `wrong` scales its variances.
    """
    random = StackedRandomness.seeded([0])
    network = VarJEPANetwork(sizes=PairSizes(1, 1, 1, 1), random=random, n_layers=0).double()
    precision = 1 / PRIOR + E**2 / NOISE_Y
    set_gaussian(network.context_encoder, [A / (A**2 + NOISE_X)], wrong * NOISE_X / (A**2 + NOISE_X))
    set_gaussian(network.auxiliary_encoder, [0.0], wrong)
    shares = [C / PRIOR / precision, D / PRIOR / precision, E / NOISE_Y / precision]
    set_gaussian(network.target_encoder, shares, wrong / precision)
    set_gaussian(network.predictor, [C, D], PRIOR)
    for decoder, slope, noise in ((network.context_decoder, A, NOISE_X), (network.target_decoder, E, NOISE_Y)):
        set_linear(decoder.mlp.layers[0], [[slope]], [0.0])
        torch.nn.init.constant_(decoder.logvar, math.log(noise))
    return network


class SigmaPoints:
    """Noise for s_x, z and s_y whose mean over six rows is that over N(0, 1), for whatever is quadratic in it.

    In a linear-Gaussian model every loss term is: the expected ELBO comes out exactly, without Monte Carlo.
    """

    def __init__(self) -> None:
        points = 3**0.5 * torch.cat([torch.eye(3), -torch.eye(3)]).double()
        self.columns = iter(points.T)

    def normal_like(self, x: torch.Tensor) -> torch.Tensor:
        return next(self.columns).view_as(x)


def joint_covariance() -> torch.Tensor:
    """Covariance of (s_x, z, s_y, x, y)."""
    # Each variable as a combination of independent unit noises: s_x, z, and those of s_y, x and y.
    s_x, z, *noises = torch.eye(5, dtype=torch.float64)
    s_y = C * s_x + D * z + PRIOR**0.5 * noises[0]
    mix = torch.stack([s_x, z, s_y, A * s_x + NOISE_X**0.5 * noises[1], E * s_y + NOISE_Y**0.5 * noises[2]])
    return mix @ mix.T


def exact_log_prob(x: torch.Tensor, y: torch.Tensor) -> float:
    cov = joint_covariance()[3:, 3:]
    return float(MultivariateNormal(torch.zeros(2).double(), cov).log_prob(torch.stack([x, y])))


def conditional(target: int, given: dict[int, torch.Tensor]) -> DiagonalGaussian:
    """p(variable `target` | the given ones) in the order of `joint_covariance`; values [1, 6, 1]."""
    cov, known = joint_covariance(), list(given)
    weights = torch.linalg.solve(cov[known][:, known], cov[known, target])
    mean = sum(weight * value for weight, value in zip(weights, given.values(), strict=True))
    return DiagonalGaussian(mean, torch.full_like(mean, math.log(cov[target, target] - weights @ cov[known, target])))


def exact_posterior(x: torch.Tensor, y: torch.Tensor) -> PairPosterior:
    """p(s_x | x, y) p(z | s_x, x, y) p(s_y | s_x, z, x, y), which y may reach in every factor."""
    noise, given = SigmaPoints(), {3: x, 4: y}
    latents = []
    for target in range(3):
        latents.append(conditional(target, given))
        given = {**given, target: latents[-1].sample(noise)}
    return PairPosterior(*latents, *(given[target] for target in range(3)))


def elbo(network: VarJEPANetwork, x: torch.Tensor, y: torch.Tensor, posterior: PairPosterior) -> float:
    return -float(paired_terms(x, y, posterior, network.generate(posterior)).loss(Weights()).detach().mean())


PAIRS = [(0.0, 0.0), (1.3, -0.4), (-2.0, 2.5)]


def rows(pair: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """One pair six times, for six sigma points."""
    return tuple(torch.full((1, 6, 1), value, dtype=torch.float64) for value in pair)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("wrong", [0.3, 1.0, 2.0])
def test_the_elbo_is_a_lower_bound(pair: tuple[float, float], wrong: float) -> None:
    network, (x, y) = linear_model(wrong), rows(pair)
    assert elbo(network, x, y, network.infer(x, y, SigmaPoints())) < exact_log_prob(x[0, 0, 0], y[0, 0, 0])


@pytest.mark.parametrize("pair", PAIRS)
def test_the_bound_is_tight_where_the_posterior_is_exact(pair: tuple[float, float]) -> None:
    x, y = rows(pair)
    truth = exact_log_prob(x[0, 0, 0], y[0, 0, 0])
    assert elbo(linear_model(), x, y, exact_posterior(x, y)) == pytest.approx(truth, abs=1e-4)


SIZES = PairSizes(6, 5, 4, 3)


def test_stacked_runs_equal_separate_runs() -> None:
    def trained(seeds: list[int]) -> VarJEPANetwork:
        network = VarJEPANetwork(sizes=SIZES, random=StackedRandomness.seeded(seeds), d_hidden=16)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
        for step in range(5):
            random = StackedRandomness.seeded(seeds, step)
            template = torch.empty(len(seeds), 32, 6)
            x, y = random.normal_like(template), random.normal_like(template[..., :5])
            loss = paired_terms(x, y, *network(x, y, random)).loss(Weights()).mean(-1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return network

    together, alone = trained([3, 8, 1]), [trained([seed]) for seed in (3, 8, 1)]
    for stacked, *singles in zip(together.parameters(), *(run.parameters() for run in alone), strict=True):
        torch.testing.assert_close(stacked, torch.cat(singles), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(together.predictor.mlp.layers[0].weight[0], together.predictor.mlp.layers[0].weight[1])


def test_each_jepa_target_takes_the_gradient_it_should() -> None:
    x, y = torch.randn(2, 1, 8, 6, generator=torch.Generator().manual_seed(0))
    for target, reaches in (("gradient", True), ("stop_gradient", False), ("ema", False)):
        network = JEPANetwork(d_observed=6, d_s=4, random=StackedRandomness.seeded([0]), d_hidden=8, target=target)
        prediction, aim = network(x, y)
        assert aim.requires_grad is reaches
        assert prediction.requires_grad
        before = [p.clone() for p in network.average.parameters()] if network.average else []
        with torch.no_grad():
            for parameter in network.context_encoder.parameters():
                parameter.add_(1)
        network.update_target()
        for old, new in zip(before, network.average.parameters() if network.average else [], strict=True):
            torch.testing.assert_close(new, old + (1 - network.ema))
