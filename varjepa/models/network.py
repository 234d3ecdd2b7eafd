"""What every kind of table network offers to training, inference and evaluation."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from varjepa.config import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.masks import Masks
from varjepa.nn.random import Randomness
from varjepa.nn.tokenizer import FeatureTokenizer


class Embedding(NamedTuple):
    """Latents of N rows.

    Attributes:
        mean: float32 [N, D, d]; for missing cells, what the predictor expects of them.
        scale: float32 [N, D, d], > 0, standard deviations of the same latents; None for kinds that have none.
    """

    mean: Tensor
    scale: Tensor | None


class TableNetwork(nn.Module, ABC):
    """A network over the cells of a row, built from the sizes of a table and `config.model`.

    What `forward` returns is the business of the kind's objective (see `varjepa.objective.objective`).

    Attributes:
        has_scale: whether embeddings say how sure they are.
        d_hidden: width d of the latents.
        precision: of the matrix products when somebody asks for embeddings; training chooses its own.
    """

    has_scale: ClassVar[bool]
    d_hidden: int
    precision: torch.dtype = torch.float32

    @abstractmethod
    def __init__(self, *, sizes: TableSizes, model: ModelSection) -> None:
        super().__init__()
        self.d_hidden = model.d_hidden

    @abstractmethod
    def forward(self, table: TableTensors, masks: Masks, random: Randomness | None = None) -> Any:
        """What the objective needs of masked rows; without `random` nothing is sampled or dropped."""

    @abstractmethod
    def tokens(self, table: TableTensors) -> Tensor:
        """Tokens of all cells [B, D, d] before anything has mixed them; missing cells count as blank."""

    @abstractmethod
    def embed(self, table: TableTensors) -> Embedding:
        """Latents of at least one row, all observed cells as context."""


def new_tokenizer(sizes: TableSizes, model: ModelSection) -> FeatureTokenizer:
    """The feature tokens that all kinds share."""
    return FeatureTokenizer(n_numeric=sizes.n_numeric, cardinalities=sizes.cardinalities, d_token=model.d_hidden)
