"""Compact vectors of rows: principal components of the embedding, whose distances mean something.

An embedding has D d numbers per row, too many to search or to store in a vector database. Its blocks, one per feature,
are brought to the same scale, large values are damped by a power (Perronnin et al. 2010), and what remains is projected
onto principal components, divided by a power of their standard deviations. Vectors of fewer numbers are beginnings of
longer ones. No label takes part.

Reference: Perronnin, Sanchez, Mensink (2010), Improving the Fisher kernel for large-scale image classification.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from varjepa.errors import ConfigError
from varjepa.evaluation.latents.components import principal_components

LARGEST, USUAL = 256, 64
"""Most numbers of a vector, and how many it has unless somebody asks for more or fewer."""

SMALLEST_DEVIATION = 1e-2
"""Components that vary less than this share of the first one are left out: whitening would only enlarge rounding."""


class Shape(NamedTuple):
    """How an embedding becomes a vector.

    Attributes:
        power: in (0, 1], of the size of every standardised number; 1 leaves it as it is.
        whitening: in [0, 1], of the standard deviations that components are divided by; 0 keeps them, 1 makes all
            components vary equally.
    """

    power: float
    whitening: float


SHAPES = tuple(Shape(power, whitening) for power in (1.0, 0.5) for whitening in (0.25, 0.0, 0.5))
"""The usual shape, and candidates to replace it."""


@dataclass(frozen=True)
class CompactBasis:
    """Everything that turns embeddings into vectors.

    The unit of distance is the root mean square distance of two training rows, by vectors of `USUAL` numbers.

    Attributes:
        shape: how it was made.
        center: mean of the training embeddings [D d].
        spread: standard deviation of each number's block [D d].
        middle: mean of the damped numbers [D d].
        basis: scaled directions in columns [D d, K].
        recovered: how well neighbours recover hidden cells (see `varjepa.inference.vectors.recovery`).
    """

    shape: Shape
    center: Tensor
    spread: Tensor
    middle: Tensor
    basis: Tensor
    recovered: float = float("nan")

    def project(self, flat: Tensor, size: int = USUAL) -> Tensor:
        """Vectors [N, size] of flat embeddings [N, D d]; numbers beyond the K directions are 0."""
        points = (_damped((flat - self.center) / self.spread, self.shape.power) - self.middle) @ self.basis[:, :size]
        return F.pad(points, (0, size - points.shape[1]))

    def tensors(self) -> dict[str, Tensor]:
        """All arrays by name, for saving."""
        return {"center": self.center, "spread": self.spread, "middle": self.middle, "basis": self.basis}


def require_size(size: int) -> None:
    """Checks the number of numbers of a vector.

    Raises:
        ConfigError: it is not in 1 to `LARGEST`.
    """
    if not isinstance(size, Integral) or not 1 <= size <= LARGEST:
        raise ConfigError(f"A vector of {size} numbers was asked for.", expected=f"Expected 1 to {LARGEST}.")


def fit_bases(embedding: Tensor, shapes: tuple[Shape, ...] = SHAPES, *, seed: int = 0) -> list[CompactBasis]:
    """One basis per shape.

    Args:
        embedding: of training rows [N, D, d].
        shapes: the candidates.
        seed: of the decomposition.
    """
    flat = embedding.flatten(1)  # [N, D d]
    center = flat.mean(0)
    # One number per block: within a block, directions of little variation stay small.
    block = (embedding - embedding.mean(0)).square().mean((0, 2)).sqrt()  # [D]
    spread = block.clamp(min=1e-4 * float(block.max()) + 1e-12).repeat_interleave(embedding.shape[2])
    bases = []
    for power in dict.fromkeys(shape.power for shape in shapes):
        damped = _damped((flat - center) / spread, power)
        components = principal_components(damped, LARGEST, seed=seed)
        kept = components.deviations > SMALLEST_DEVIATION * components.deviations[:1]
        kept[:1] = True  # an embedding that has collapsed varies in no direction: its vectors are all alike
        directions, deviations = components.basis[:, kept], components.deviations[kept]
        for shape in (shape for shape in shapes if shape.power == power):
            scaled = _scaled(directions, deviations, shape.whitening)
            bases.append(CompactBasis(shape, center, spread, components.center, scaled))
    return bases


def _damped(x: Tensor, power: float) -> Tensor:
    return x if power == 1 else x.sign() * x.abs().pow(power)


def _scaled(directions: Tensor, deviations: Tensor, whitening: float) -> Tensor:
    """Directions [D d, K] divided by powers of their deviations [K], and by the usual distance of two rows."""
    left = deviations.pow(1 - whitening)  # deviations after whitening
    # Two independent rows are twice the variance apart, in squares.
    usual = (2 * left[:USUAL].square().sum()).sqrt().clamp(min=1e-12)
    return (directions / deviations.pow(whitening) / usual).where(deviations > 0, 0.0)
