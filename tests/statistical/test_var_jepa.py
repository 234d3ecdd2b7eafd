"""Pairs drawn from Var-JEPA have the moments of its joint Gaussian."""

import torch

from tests.unit.study.test_var_jepa import joint_covariance, linear_model
from varjepa.nn.random import StackedRandomness


def test_generation_follows_the_model() -> None:
    network, n = linear_model(), 200_000
    x, y = network.sample(n, StackedRandomness.seeded([3]))
    cov = torch.cov(torch.cat([x, y], -1)[0].T)
    truth = joint_covariance()[3:, 3:]
    # 6 standard errors of a covariance of Gaussians.
    error = ((truth.diagonal()[:, None] * truth.diagonal() + truth.square()) / n).sqrt()
    assert ((cov - truth).abs() < 6 * error).all()
    # q(s_x | x) is exact, so is y given x = 1: its mean and variance are those of the joint Gaussian.
    drawn = network.sample_y(torch.ones(1, n, 1).double(), StackedRandomness.seeded([4]))
    slope = truth[0, 1] / truth[0, 0]
    var = truth[1, 1] - slope * truth[0, 1]
    assert abs(drawn.mean() - slope) < 6 * (var / n) ** 0.5
    assert abs(drawn.var() - var) < 6 * var * (2 / n) ** 0.5
