"""KL weights and the learning rate as functions of the optimiser step."""

import math

from varjepa.config import ObjectiveSection, TrainingSection
from varjepa.objective.elbo import Weights


def weights_at(step: int, steps_per_epoch: int, objective: ObjectiveSection) -> Weights:
    """Weights at an optimiser step: each KL weight rises linearly from 0 over its own epochs (eq. 53-55)."""

    def ramp(final: float, epochs: float) -> float:
        return final * min(1.0, step / (epochs * steps_per_epoch)) if epochs > 0 else final

    return Weights(
        rec=objective.weight_rec,
        gen=objective.weight_gen,
        kl_sx=ramp(objective.kl_sx_final, objective.kl_sx_anneal_epochs),
        kl_z=ramp(objective.kl_z_final, objective.kl_z_anneal_epochs),
        kl_sy=ramp(objective.kl_sy_final, objective.kl_sy_anneal_epochs),
    )


def peak_lr(training: TrainingSection) -> float:
    """`training.lr` at this batch size, by the square root rule for Adam (Malladi et al. 2022; betas stay as they are).

    Examples:
        >>> peak_lr(TrainingSection(lr=1e-3, batch_size=2048, lr_batch=512))
        0.002
    """
    return training.lr * (training.batch_size / training.lr_batch) ** 0.5 if training.lr_batch else training.lr


def lr_at(step: int, steps_per_epoch: int, training: TrainingSection) -> float:
    """Learning rate at an optimiser step: linear warm-up, then half a cosine down to `lr_end_share` of the peak."""
    warmup = training.warmup_epochs * steps_per_epoch
    total = training.max_epochs * steps_per_epoch
    if step < warmup:
        # Never 0: the first step of training is not wasted, and the peak is reached right after the warm-up.
        return peak_lr(training) * (step + 1) / (warmup + 1)
    progress = min(1.0, (step - warmup) / max(total - warmup, 1))  # 0 at the peak, 1 at the end
    share = training.lr_end_share + (1 - training.lr_end_share) * 0.5 * (1 + math.cos(math.pi * progress))
    return peak_lr(training) * share


PUBLISHED_EMA = 0.996
"""First weight of the target encoder in its moving average (I-JEPA, T-JEPA), for 250 steps of memory."""

EMA_MEMORY = 0.05
"""The average remembers at most this share of all steps at first. Then e^-10 of the initial weights is left at the end,
and 0.06% after half of the steps, where an early epoch may be selected."""


def ema_start(steps: int, chosen: float | None) -> float:
    """Share of the target encoder that stays at the first of `steps` optimiser steps.

    Args:
        steps: of the longest training, at least 1.
        chosen: `model.ema`; None scales the published share to the steps, as a fixed one keeps most of the initial
            weights in a short training (45% after 400 steps).

    Examples:
        >>> [round(ema_start(steps, None), 4) for steps in (10, 400, 5000, 1_000_000)]
        [0.0, 0.95, 0.996, 0.996]
    """
    return chosen if chosen is not None else min(PUBLISHED_EMA, max(0.0, 1 - 1 / (EMA_MEMORY * steps)))


def initial_share(step: int, steps: int, start: float) -> float:
    """Share of the initial weights in the target encoder after an optimiser step: the product of what stayed so far.

    Examples:
        >>> [round(initial_share(399, 400, start), 5) for start in (0.996, ema_start(400, None))]
        [0.44795, 4e-05]
    """
    return math.prod(ema_at(done, steps, start) for done in range(step + 1))


def ema_at(step: int, steps: int, start: float) -> float:
    """Share of the target encoder that stays at an optimiser step: linear from `start` to 1 (as in I-JEPA).

    Examples:
        >>> [round(ema_at(step, 4, 0.996), 4) for step in range(4)]
        [0.996, 0.997, 0.998, 0.999]
    """
    return start + (1 - start) * min(1.0, step / steps)
