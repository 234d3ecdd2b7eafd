"""The simulation study's generator: pairs (x, y) whose latents and label are known (arXiv 2603.20111, 4.1)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

D_OBSERVED, D_S, D_Z, WIDTH = 32, 16, 8, 64
"""Widths of x and y, of s_x and s_y, of z, and of the hidden layer of h_x and h_y."""

SHIFT, NOISE_S_Y, NOISE_OBSERVED = 2.0, 0.5, 0.3
"""Distance of the two classes in every dimension of s_x; scales of the noise on s_y, and on x and y."""


class Pairs(NamedTuple):
    """Rows of a study, one row per pair.

    Attributes:
        x: context, float32 [N, 32].
        y: target, float32 [N, 32].
        label: c, int64 [N], 0 or 1.
    """

    x: Tensor
    y: Tensor
    label: Tensor

    def split(self, rows: int) -> tuple["Pairs", "Pairs"]:
        """The first `rows` rows, and the others."""
        return Pairs(*(part[:rows] for part in self)), Pairs(*(part[rows:] for part in self))


def simulate_pairs(*, rows: int, seed: int) -> Pairs:
    """Draws two frozen random networks and `rows` pairs from them; another seed gives other networks, too.

    Args:
        rows: number of pairs, >= 1.
        seed: of everything drawn, >= 0.

    References:
        s_x | c ~ N(2 c 1, I), z ~ N(0, I), s_y ~ N(s_x + A z, 0.25 I), x = h_x(s_x) + 0.3 eps, y = h_y(s_y) + 0.3 eps.
    """
    # Two streams: the networks of a seed do not depend on the number of rows.
    world, rng = (np.random.default_rng([seed, stream]) for stream in range(2))
    # Scaled so that A z has unit variance, on average over A.
    mixing = world.normal(0, D_Z**-0.5, (D_S, D_Z))
    h_x, h_y = (_frozen_mlp(world) for _ in range(2))
    label = rng.integers(2, size=rows)
    s_x = rng.standard_normal((rows, D_S)) + SHIFT * label[:, None]
    z = rng.standard_normal((rows, D_Z))
    s_y = s_x + z @ mixing.T + NOISE_S_Y * rng.standard_normal((rows, D_S))  # [N, 16]
    x, y = (
        _observe(network, latent, rng.standard_normal((rows, D_OBSERVED)))
        for network, latent in ((h_x, s_x), (h_y, s_y))
    )
    return Pairs(x, y, torch.from_numpy(label))


def _frozen_mlp(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of both layers, N(0, 1 / inputs) as for A: unpublished, see docs/simulation.md."""
    return [
        (rng.normal(0, d_in**-0.5, (d_in, d_out)), rng.normal(0, d_in**-0.5, d_out))
        for d_in, d_out in ((D_S, WIDTH), (WIDTH, D_OBSERVED))
    ]


def _observe(network: list[tuple[np.ndarray, np.ndarray]], latent: np.ndarray, noise: np.ndarray) -> Tensor:
    (weight, bias), (out_weight, out_bias) = network
    observed = np.tanh(latent @ weight + bias) @ out_weight + out_bias + NOISE_OBSERVED * noise
    return torch.from_numpy(observed.astype(np.float32))
