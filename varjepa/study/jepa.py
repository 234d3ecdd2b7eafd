"""Deterministic JEPA on pairs: Var-JEPA with point-mass encoders, no decoders and no KLs (var-jepa.md section 1).

What is left is the squared error between prediction and target. Nothing in it asks the latents to say anything: a
constant encoder is perfect, and only what keeps the gradient from the target stands in the way.
"""

from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from varjepa.nn.random import StackedRandomness
from varjepa.nn.stacked import StackedMLP

Target = Literal["gradient", "stop_gradient", "ema"]
"""How targets are made: by the trained encoder, by the same without gradient, or by its moving average."""


class JEPANetwork(nn.Module):
    """One encoder for x and y, and a predictor of the target's latent from the context's.

    Args:
        d_observed: width of x and of y.
        d_s: width of the latents.
        random: initial weights of run r come from its stream.
        d_hidden: width of the MLPs.
        n_layers: hidden layers of the MLPs.
        target: how targets are made; "gradient" is JEPA without any heuristic against collapse.
        ema: share of the moving average that stays at every update.

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
        self.average = deepcopy(self.context_encoder).requires_grad_(requires_grad=False) if target == "ema" else None

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Prediction from x, and target from y."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.target == "gradient"):
            target = (self.average or self.context_encoder)(y)
        return self.predictor(self.context_encoder(x)), target

    @torch.no_grad()
    def update_target(self) -> None:
        """Moves the target encoder toward the context encoder; call after every optimiser step."""
        if self.average is not None:
            for slow, fast in zip(self.average.parameters(), self.context_encoder.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.ema)
