"""The interface of every kind of table network to training, inference and evaluation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from varjepa.config import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.masks import Masks
from varjepa.nn.decoders import Likelihood
from varjepa.nn.gaussian import DiagonalGaussian
from varjepa.nn.random import Randomness
from varjepa.nn.tokenizer import FeatureTokenizer


class Embedding(NamedTuple):
    """Latents of N rows.

    Attributes:
        mean: float32 [N, D, d]; for missing cells, the predictor's expectation.
        scale: float32 [N, D, d], > 0, standard deviations of the same latents; None for kinds without scales.
    """

    mean: Tensor
    scale: Tensor | None


class TableNetwork(nn.Module, ABC):
    """A network over the cells of a row, built from the sizes of a table and `config.model`.

    Only the kind's objective reads the result of `forward` (see `varjepa.objective.objective`).

    Attributes:
        has_scale: whether embeddings have standard deviations.
        can_collapse: whether constant embeddings minimise the objective, so that it cannot select an epoch.
        d_hidden: width d of the latents.
        precision: of the matrix products of embeddings; training chooses its own.
    """

    has_scale: ClassVar[bool]
    can_collapse: ClassVar[bool]
    d_hidden: int
    precision: torch.dtype = torch.float32

    @abstractmethod
    def __init__(self, *, sizes: TableSizes, model: ModelSection) -> None:
        super().__init__()
        self.d_hidden = model.d_hidden

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @abstractmethod
    def forward(self, table: TableTensors, masks: Masks, random: Randomness | None = None) -> Any:
        """The outputs that the objective needs for masked rows; without `random` nothing is sampled or dropped."""

    @abstractmethod
    def tokens(self, table: TableTensors) -> Tensor:
        """Tokens of all cells [B, D, d] before any attention; missing cells count as blank."""

    @abstractmethod
    def embed(self, table: TableTensors) -> Embedding:
        """Latents of at least one row, all observed cells as context."""

    def variational(self) -> "VariationalNetwork | None":
        """This network as one with posteriors and likelihoods; None for kinds without them."""
        return None


class Posterior(NamedTuple):
    """Posteriors of a row's latents, with the values (samples or means) that the generative half starts from."""

    s_x: DiagonalGaussian  # [B, M, d]
    z: DiagonalGaussian  # [B, d]
    s_w: DiagonalGaussian  # [B, D, d]
    s_x_value: Tensor
    z_value: Tensor
    s_w_value: Tensor


class Generated(NamedTuple):
    """Distributions given the latents: predictor prior and both likelihoods."""

    s_y: DiagonalGaussian  # [B, K, M, d]
    context: Likelihood
    row: Likelihood


class VariationalNetwork(TableNetwork):
    """A kind with posteriors over latents, a prior that predicts them, and likelihoods of cells."""

    has_scale = True
    can_collapse = False

    @abstractmethod
    def forward(
        self, table: TableTensors, masks: Masks, random: Randomness | None = None
    ) -> tuple[Posterior, Generated]:
        """`infer`, then `generate`; without `random` the latents take their means instead of samples."""

    @abstractmethod
    def infer(self, table: TableTensors, masks: Masks, random: Randomness | None = None) -> Posterior:
        """q(s_x | x), q(z | s_x) and q(s_w | s_x, z, w)."""

    @abstractmethod
    def predict(self, posterior: Posterior, masks: Masks, random: Randomness | None = None) -> DiagonalGaussian:
        """p(s_y | s_x, z) for every target mask, [B, K, M, d]."""

    @abstractmethod
    def reconstruct(self, s_w: Tensor) -> Likelihood:
        """p(w | s_w) of all cells, from latents [B, D, d]."""

    def variational(self) -> "VariationalNetwork":
        return self


def new_tokenizer(sizes: TableSizes, model: ModelSection) -> FeatureTokenizer:
    """The feature tokens that all kinds share."""
    return FeatureTokenizer(
        n_numeric=sizes.n_numeric, cardinalities=sizes.cardinalities, d_token=model.d_hidden, bins=sizes.bins
    )
