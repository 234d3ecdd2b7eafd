"""Diagnostics of a latent over many rows: is its aggregate N(0, I), is it informative, is it alive.

Plug-in formulas on a sample per row. Each has a sampling floor: what it shows on N rows of a perfect N(0, I).
"""

import torch
from torch import Tensor

from varjepa.evaluation.latents.latents import active_units, rankme
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness
from varjepa.objective.sigreg import Frequencies, characteristic_errors, normal_characteristic, random_directions

DIRECTIONS, FREQUENCIES = 64, Frequencies()
"""Random directions and frequencies of `sigreg_mse`, as in the paper's SIGReg."""


def kl_aggregate(sample: Tensor) -> Tensor:
    """KL of the Gaussian with the moments of the rows to N(0, I), [...]; infinite where N <= d.

    Shape:
        sample [..., N, d] -> [...]
    """
    mean, covariance = moments(sample)
    # 0.5 (tr C + |m|^2 - d - log det C), where the rows have mean m and covariance C.
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    return 0.5 * (trace + mean.square().sum(-1) - sample.shape[-1] - torch.logdet(covariance))


def moments(sample: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [..., d] and covariance [..., d, d] over rows, in 64 bits."""
    wide = sample.double()  # [..., N, d]
    mean = wide.mean(-2)  # [..., d]
    centered = wide - mean[..., None, :]
    return mean, centered.mT @ centered / sample.shape[-2]


def sigreg_mse(sample: Tensor, random: Randomness) -> Tensor:
    """Mean squared distance of characteristic functions over directions and frequencies, unweighted.

    Shape:
        sample [R, N, d] -> [R]
    """
    directions = random_directions(sample.shape[-1], DIRECTIONS, random).to(sample)
    # One run at a time: what a run needs stays in the processor's cache.
    return torch.stack([characteristic_errors(directions @ run.mT, FREQUENCIES).mean() for run in sample])


def diagnose(posterior: DiagonalGaussian, sample: Tensor, random: Randomness) -> dict[str, Tensor]:
    """All diagnostics that need no label.

    `mutual_information` is that of rows and latent by ELBO surgery (eq. 11): the mean KL to N(0, I) minus `kl_agg`, an
    upper bound where the aggregate is not Gaussian.

    Args:
        posterior: q(s | row), [R, N, d].
        sample: one draw per row, [R, N, d].
        random: of the directions of `sigreg_mse`.

    Returns:
        name -> [R].
    """
    mean, covariance = moments(sample)
    kl_agg = kl_aggregate(sample)
    identity = torch.eye(sample.shape[-1], dtype=covariance.dtype, device=covariance.device)
    return {
        "kl_agg": kl_agg,
        "sigreg_mse": sigreg_mse(sample, random),
        "cov_frobenius": (covariance - identity).flatten(-2).norm(dim=-1),
        "mean_norm": mean.norm(dim=-1),
        "mutual_information": posterior.kl_standard().sum(-1).mean(-1).double() - kl_agg,
        "active_units": mean.new_tensor([active_units(run) for run in posterior.mean]),
        "rankme": mean.new_tensor([rankme(run) for run in posterior.mean]),
    }


def sampling_floors(rows: int, d: int) -> dict[str, float]:
    """What `diagnose` shows on `rows` draws of a d-dimensional N(0, I) that knows nothing of its row.

    `active_units` and `mutual_information` are those of a collapsed latent; `rankme` is that of the draws themselves: a
    collapsed latent shows 1.
    """
    # The expectations to first order in 1 / N. The squared norm of the mean has d / N, that of the covariance
    # minus the identity d (d + 1) / N; the KL has half of the one and a quarter of the other.
    kl_agg = d * (d + 3) / (4 * rows)
    # Of exp(i t u) the variance is 1 - phi(t)^2 where phi is its expectation; the mean over N rows has 1 / N of it.
    spread = 1 - normal_characteristic(FREQUENCIES, torch.zeros(1)).square().mean()
    return {
        "kl_agg": kl_agg,
        "sigreg_mse": float(spread) / rows,
        "cov_frobenius": (d * (d + 1) / rows) ** 0.5,
        "mean_norm": (d / rows) ** 0.5,
        "mutual_information": -kl_agg,
        "active_units": 0.0,
        "rankme": d * (1 - (d + 1) / (8 * rows)),
    }
