"""T-JEPA: the deterministic joint-embedding predictive architecture for tables, the baseline of Var-T-JEPA.

Sources: Thimonier et al., "T-JEPA: Augmentation-Free Self-Supervised Learning for Tabular Data", arXiv 2410.05016
(ICLR 2025); as a baseline of equal size: Gögl and Yau, arXiv 2603.20111 (2026), D.4.

| latent | description | name in code |
| --- | --- | --- |
| s_x | one per context feature, by the context encoder | `context` [B, M, d] |
| z | what the context leaves open: learned tokens, the same for every row | `TJEPAPredictor.auxiliary` [A, p] |
| s_y | one per target feature, by the target encoder | `Predicted.target` [B, K, M, d] |
| prediction of s_y | by the predictor | `Predicted.prediction` [B, K, M, d] |
"""

from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.config import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.masks import Masks, full_context, incomplete_rows, put_at_targets
from varjepa.models.network import Embedding, TableNetwork, new_tokenizer
from varjepa.models.predictor import attend_to_context, predictor_encoder, prepend_valid
from varjepa.nn.gaussian import widened
from varjepa.nn.random import Randomness
from varjepa.nn.tokenizer import INIT_SCALE
from varjepa.nn.transformer import TransformerEncoder


class Predicted(NamedTuple):
    """Latents of the targets from the predictor and from the target encoder; both [B, K, M_trg, d]."""

    prediction: Tensor
    target: Tensor


class RowEncoder(nn.Module):
    """Tokenizer and transformer over [register tokens, tokens of some features].

    Register tokens belong to no feature. They are neither predicted nor part of an embedding, but hold information
    common to all rows outside of the features' latents.

    Shape:
        table of B rows, context int [B, M], valid bool [B, M] -> [B, M, d]
    """

    def __init__(self, *, sizes: TableSizes, model: ModelSection) -> None:
        super().__init__()
        d = model.d_hidden
        self.tokenizer = new_tokenizer(sizes, model)
        self.registers = nn.Parameter(torch.randn(model.n_cls, d) * INIT_SCALE)
        self.encoder = TransformerEncoder(
            d_model=d,
            n_layers=model.n_layers,
            n_heads=model.n_heads,
            d_feedforward=model.d_feedforward,
            dropout=model.dropout,
            n_points=model.n_points,
        )

    def forward(self, table: TableTensors, context: Tensor, valid: Tensor, random: Randomness | None = None) -> Tensor:
        tokens = self.tokenizer(*table.blanked())  # [B, D, d]
        chosen = tokens.gather(1, context.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
        front = self.registers.expand(len(tokens), -1, -1)
        hidden = self.encoder(torch.cat([front, chosen], dim=1), prepend_valid(valid, front.shape[1]), random)
        return hidden[:, front.shape[1] :]


class TJEPANetwork(TableNetwork):
    """The network of T-JEPA: a context encoder, its moving average as target encoder, and a predictor between them.

    Args:
        sizes: features of the table.
        model: widths, depths and rates; `n_cls` register tokens, `n_aux` auxiliary tokens.

    Attributes:
        ema: share of the target encoder that stays at the first update; None scales it to the steps of the training.

    References:
        arXiv 2410.05016 section 4; arXiv 2603.20111 D.4.
    """

    has_scale = False
    can_collapse = True

    def __init__(self, *, sizes: TableSizes, model: ModelSection) -> None:
        super().__init__(sizes=sizes, model=model)
        self.ema = model.ema
        self.context_encoder = RowEncoder(sizes=sizes, model=model)
        self.target_encoder = deepcopy(self.context_encoder).requires_grad_(requires_grad=False)
        self.predictor = TJEPAPredictor(n_features=sizes.n_features, model=model)

    def forward(self, table: TableTensors, masks: Masks, random: Randomness | None = None) -> Predicted:
        """Predicts the latents of every target mask from the context, and also returns these latents."""
        context = self.context_encoder(table, masks.context, masks.context_valid, random)
        prediction = self.predictor(context, masks, random)
        batch, n_masks, n_targets = masks.targets.shape
        row = self.encode_row(table)  # [B, D, d], once for all masks
        index = masks.targets.reshape(batch, n_masks * n_targets, 1).expand(-1, -1, row.shape[-1])
        return Predicted(prediction, row.gather(1, index).view(prediction.shape))

    @torch.no_grad()
    def encode_row(self, table: TableTensors) -> Tensor:
        """Latents of all observed cells from the target encoder, [B, D, d]; meaningless where a cell is missing.

        NOTE[DIFF]: without dropout, so that one row has one target; the authors' code applies dropout here, too.
        """
        masks = full_context(table.observed)
        return widened(self.target_encoder(table, masks.context, masks.context_valid))

    def tokens(self, table: TableTensors) -> Tensor:
        return self.target_encoder.tokenizer(*table.blanked())

    def embed(self, table: TableTensors) -> Embedding:
        """Latents of the target encoder, and of the predictor for missing cells."""
        mean = self.encode_row(table)
        for rows, masks in incomplete_rows(table.observed):
            context = self.context_encoder(table.rows(rows), masks.context, masks.context_valid)
            mean[rows] = put_at_targets(mean[rows], self.predictor(context, masks)[:, 0], masks)
        return Embedding(mean, None)

    @torch.no_grad()
    def update_target(self, keep: float) -> None:
        """Moves the target encoder toward the context encoder, of which the share 1 - `keep` enters."""
        slow: list[Tensor] = list(self.target_encoder.parameters())
        fast: list[Tensor] = list(self.context_encoder.parameters())
        torch._foreach_lerp_(slow, fast, 1 - keep)  # one call instead of one per tensor


class TJEPAPredictor(nn.Module):
    """Predicts target latents: a narrower transformer over auxiliary, context and mask tokens.

    It sees where the targets are, never what they hold.

    Shape:
        context [B, M_ctx, d], masks -> [B, K, M_trg, d]
    """

    def __init__(self, *, n_features: int, model: ModelSection) -> None:
        super().__init__()
        width = model.pred_d
        self.from_context = nn.Linear(model.d_hidden, width)
        self.auxiliary = nn.Parameter(torch.randn(model.n_aux, width) * INIT_SCALE)
        self.position = nn.Parameter(torch.randn(n_features, width) / width**0.5)
        self.mask_token = nn.Parameter(torch.randn(width) * INIT_SCALE)
        self.encoder = predictor_encoder(model)
        self.head = nn.Linear(width, model.d_hidden)

    def forward(self, context: Tensor, masks: Masks, random: Randomness | None = None) -> Tensor:
        tokens = self.from_context(context) + F.embedding(masks.context, self.position)  # [B, M_ctx, p]
        auxiliary = self.auxiliary.to(tokens.dtype).expand(len(tokens), -1, -1)
        queries = self.mask_token + F.embedding(masks.targets, self.position)  # [B, K, M_trg, p]
        hidden = attend_to_context(self.encoder, torch.cat([auxiliary, tokens], dim=1), queries, masks, random)
        return widened(self.head(hidden)).view(*masks.targets.shape, self.head.out_features)
