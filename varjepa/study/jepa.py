"""Deterministic JEPA on pairs: Var-JEPA with point-mass encoders, no decoders and no KLs (arXiv 2603.20111, section 3).

What is left is the squared error between prediction and target. It does not require informative latents: a constant
encoder minimises it, and only the blocked gradient of the target prevents that.
"""

from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from varjepa.nn.random import StackedRandomness
from varjepa.nn.stacked import StackedMLP

Target = Literal["gradient", "stop_gradient", "ema"]
"""Source of the targets: the trained encoder, the same without gradient, or its moving average."""


class JEPANetwork(nn.Module):
    """One encoder for x and y, and a predictor of the target's latent from the context's.

    Args:
        d_observed: width of x and of y.
        d_s: width of the latents.
        random: initial weights of run r come from its stream.
        d_hidden: width of the MLPs.
        n_layers: hidden layers of the MLPs.
        target: source of the targets; "gradient" is JEPA without any heuristic against collapse.
        ema: share of the moving average that is kept at every update.

    Shape:
        x, y [R, B, d_observed] -> prediction, target [R, B, d_s]
    """

    def __init__(
        self,
        *,
        d_observed: int,
        d_s: int,
        random: StackedRandomness,
        d_hidden: int = 128,
        n_layers: int = 2,
        target: Target = "stop_gradient",
        ema: float = 0.996,
    ) -> None:
        super().__init__()
        mlp: dict[str, Any] = {"d_hidden": d_hidden, "n_layers": n_layers, "random": random}
        self.target, self.ema = target, ema
        self.context_encoder = StackedMLP(d_in=d_observed, d_out=d_s, **mlp)
        self.predictor = StackedMLP(d_in=d_s, d_out=d_s, **mlp)
        # Starts equal to the encoder, and is moved by `update_target` alone.
        self.average = deepcopy(self.context_encoder).requires_grad_(requires_grad=False) if target == "ema" else None

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction from x, and target from y."""
        # Also off where the caller has switched gradients off, as in diagnostics.
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.target == "gradient"):
            target = (self.average or self.context_encoder)(y)
        return self.predictor(self.context_encoder(x)), target

    @torch.no_grad()
    def update_target(self) -> None:
        """Moves the target encoder toward the context encoder; call after every optimiser step."""
        if self.average is not None:
            for slow, fast in zip(self.average.parameters(), self.context_encoder.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.ema)
