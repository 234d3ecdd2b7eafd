"""The five terms of the weighted negative ELBO and how they add up (eq. 22-26)."""

from typing import NamedTuple

import torch
from torch import Tensor

from varjepa.config import ObjectiveSection
from varjepa.data.tensors.table import TableTensors
from varjepa.models.masks import Masks
from varjepa.models.var_t_jepa import Generated, Posterior
from varjepa.nn.gaussian import DiagonalGaussian


class Weights(NamedTuple):
    """Weights of the five terms; all 1 makes minus the loss a lower bound on the log-likelihood (eq. 9-10)."""

    rec: float = 1.0
    gen: float = 1.0
    kl_sx: float = 1.0
    kl_z: float = 1.0
    kl_sy: float = 1.0


class LossTerms(NamedTuple):
    """The five terms; each [B] per row, or a scalar after `mean`."""

    rec: Tensor
    gen: Tensor
    kl_sx: Tensor
    kl_z: Tensor
    kl_sy: Tensor

    def mean(self) -> "LossTerms":
        """Mean over rows."""
        return LossTerms(*(term.mean() for term in self))

    def loss(self, weights: Weights) -> Tensor:
        """Weighted sum; lower is better. The ELBO is minus this."""
        return torch.stack([weight * term for weight, term in zip(weights, self, strict=True)]).sum(0)


def final_weights(objective: ObjectiveSection) -> Weights:
    """Weights after all schedules have ended; ELBOs of different epochs compare only under these."""
    return Weights(
        rec=objective.weight_rec,
        gen=objective.weight_gen,
        kl_sx=objective.kl_sx_final,
        kl_z=objective.kl_z_final,
        kl_sy=objective.kl_sy_final,
    )


def loss_terms(table: TableTensors, masks: Masks, posterior: Posterior, generated: Generated) -> LossTerms:
    """The five terms per row [B] (eq. 22-26); missing cells enter none of them.

    `rec` averages over context features, `gen` over all observed features, `kl_sx` over context features, `kl_sy` over
    target masks and their features; every KL is summed over latent dimensions.
    """
    cells = table.blanked()  # arbitrary values of missing cells must not reach a gradient either
    context = torch.zeros_like(table.observed).scatter(1, masks.context, masks.context_valid)
    return LossTerms(
        rec=-masked_mean(generated.context.log_prob(*cells), context),
        gen=-masked_mean(generated.row.log_prob(*cells), table.observed),
        kl_sx=masked_mean(posterior.s_x.kl_standard().sum(-1), masks.context_valid),
        kl_z=posterior.z.kl_standard().sum(-1),
        kl_sy=_kl_sy(posterior.s_w, generated.s_y, masks),
    )


def _kl_sy(s_w: DiagonalGaussian, s_y: DiagonalGaussian, masks: Masks) -> Tensor:
    """KL(q(s_y), p(s_y | s_x, z)) averaged over the valid targets of all masks, [B]."""
    batch, n_masks, n_targets = masks.targets.shape
    # s_y is s_w at the targets, so the posterior is read off once for all masks: [B, K M, d].
    index = masks.targets.reshape(batch, n_masks * n_targets, 1).expand(-1, -1, s_w.mean.shape[-1])
    posterior = DiagonalGaussian(*(part.gather(1, index) for part in s_w))
    prior = DiagonalGaussian(*(part.flatten(1, 2) for part in s_y))
    return masked_mean(posterior.kl(prior).sum(-1), masks.targets_valid.flatten(1))


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid entries of the last axis; 0 where there are none. Invalid entries get no gradient."""
    # `where`, not a product: 0 times an infinite invalid entry would be NaN.
    total = torch.where(valid, values, 0.0).sum(-1)
    return total / valid.sum(-1).clamp(min=1)
