"""Var-JEPA on pairs (x, y) of vectors, with MLPs; several independent runs in one batched computation.

Source: Gögl and Yau, "Var-JEPA: A Variational Formulation of the Joint-Embedding Predictive Architecture",
arXiv 2603.20111 (2026), section 3 and eq. 4-10.

| latent | description | name in code |
| --- | --- | --- |
| s_x | context, q(s_x | x) | `PairPosterior.s_x` [R, B, d_s] |
| z | what the context leaves open, q(z | s_x) | `PairPosterior.z` [R, B, d_z] |
| s_y | target, q(s_y | s_x, z, y); its prior p(s_y | s_x, z) is the JEPA predictor | `PairPosterior.s_y` [R, B, d_s] |
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import NormalSource, StackedRandomness
from varjepa.nn.stacked import StackedDecoder, StackedGaussian


class PairSizes(NamedTuple):
    """Widths of the observations and of the latents; s_x and s_y share one."""

    d_x: int
    d_y: int
    d_s: int
    d_z: int


class PairPosterior(NamedTuple):
    """Posteriors of a pair's latents, with the samples that the generative half starts from."""

    s_x: DiagonalGaussian
    z: DiagonalGaussian
    s_y: DiagonalGaussian
    s_x_value: Tensor
    z_value: Tensor
    s_y_value: Tensor


class PairGenerated(NamedTuple):
    """Distributions given the latents: the predictor's prior and both likelihoods."""

    s_y: DiagonalGaussian
    x: DiagonalGaussian
    y: DiagonalGaussian


class VarJEPANetwork(nn.Module):
    """The network of Var-JEPA: `infer` the posteriors, `generate` prior and likelihoods.

    Args:
        sizes: widths.
        random: initial weights of run r come from its stream; as many runs as streams.
        d_hidden: width of every MLP.
        n_layers: hidden layers of every MLP; 0 makes the model linear-Gaussian.

    Shape:
        x [R, B, d_x], y [R, B, d_y] -> `PairPosterior`, `PairGenerated`
    """

    def __init__(self, *, sizes: PairSizes, random: StackedRandomness, d_hidden: int = 128, n_layers: int = 2) -> None:
        super().__init__()
        self.sizes = sizes
        mlp: dict[str, Any] = {"d_hidden": d_hidden, "n_layers": n_layers, "random": random}
        d_x, d_y, d_s, d_z = sizes
        self.context_encoder = StackedGaussian(d_in=d_x, d_out=d_s, **mlp)
        self.auxiliary_encoder = StackedGaussian(d_in=d_s, d_out=d_z, **mlp)
        self.target_encoder = StackedGaussian(d_in=d_s + d_z + d_y, d_out=d_s, **mlp)
        self.predictor = StackedGaussian(d_in=d_s + d_z, d_out=d_s, **mlp)
        self.context_decoder = StackedDecoder(d_in=d_s, d_out=d_x, **mlp)
        self.target_decoder = StackedDecoder(d_in=d_s, d_out=d_y, **mlp)

    def forward(self, x: Tensor, y: Tensor, random: NormalSource) -> tuple[PairPosterior, PairGenerated]:
        """`infer`, then `generate`."""
        posterior = self.infer(x, y, random)
        return posterior, self.generate(posterior)

    def infer(self, x: Tensor, y: Tensor, random: NormalSource) -> PairPosterior:
        """q(s_x | x), q(z | s_x) and q(s_y | s_x, z, y), each given samples of those before it."""
        s_x = self.context_encoder(x)
        s_x_value = s_x.sample(random)
        z = self.auxiliary_encoder(s_x_value)
        z_value = z.sample(random)
        s_y = self.target_encoder(torch.cat([s_x_value, z_value, y], dim=-1))  # [R, B, d_s]
        return PairPosterior(s_x, z, s_y, s_x_value, z_value, s_y.sample(random))

    def generate(self, posterior: PairPosterior) -> PairGenerated:
        """p(s_y | s_x, z), p(x | s_x) and p(y | s_y)."""
        # The prior of s_y sees what the posterior sees, without y: the KL between them is the predictor's loss.
        s_y = self.predictor(torch.cat([posterior.s_x_value, posterior.z_value], dim=-1))
        return PairGenerated(s_y, self.context_decoder(posterior.s_x_value), self.target_decoder(posterior.s_y_value))

    @torch.no_grad()
    def sample_y(self, x: Tensor, random: NormalSource) -> Tensor:
        """One draw of y for every x: s_x ~ q(s_x | x), z ~ N(0, I), s_y ~ p(s_y | s_x, z), y ~ p(y | s_y) (3.6).

        Shape:
            x [R, B, d_x] -> [R, B, d_y]
        """
        return self._target(self.context_encoder(x).sample(random), random)

    @torch.no_grad()
    def sample(self, rows: int, random: NormalSource) -> tuple[Tensor, Tensor]:
        """Unconditional draws (x, y) per run, [R, rows, d_x] and [R, rows, d_y], starting from s_x ~ N(0, I)."""
        first = next(self.parameters())  # gives the number of runs, type and device
        s_x = random.normal_like(first.new_empty(len(first), rows, self.sizes.d_s))
        return self.context_decoder(s_x).sample(random), self._target(s_x, random)

    def _target(self, s_x: Tensor, random: NormalSource) -> Tensor:
        z = random.normal_like(s_x[..., : self.sizes.d_z].new_empty(*s_x.shape[:-1], self.sizes.d_z))
        s_y = self.predictor(torch.cat([s_x, z], dim=-1)).sample(random)
        return self.target_decoder(s_y).sample(random)
