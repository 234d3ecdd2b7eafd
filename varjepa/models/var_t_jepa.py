"""Var-T-JEPA: the variational joint-embedding predictive architecture for tables.

Source: Gögl and Yau, "Var-JEPA: A Variational Formulation of the Joint-Embedding Predictive Architecture",
arXiv 2603.20111 (2026), appendix A and D.2.

| latent | description | name in code |
| --- | --- | --- |
| s_x | one per context feature, q(s_x | x) | `Posterior.s_x` [B, M, d] |
| z | what the context leaves open, q(z | s_x) | `Posterior.z` [B, d] |
| s_w | one per feature of the whole row, q(s_w | s_x, z, w) | `Posterior.s_w` [B, D, d] |
| s_y | s_w in a target mask; its prior p(s_y | s_x, z) is the JEPA predictor | `Generated.s_y` [B, K, M, d] |
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.config import ModelSection
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.masks import Masks, full_context, incomplete_rows, put_at_targets
from varjepa.models.network import Embedding, Generated, Posterior, VariationalNetwork, new_tokenizer
from varjepa.models.predictor import attend_to_context, predictor_encoder, prepend_valid
from varjepa.nn.attention import AttentionPooling
from varjepa.nn.decoders import FeatureDecoder, Likelihood
from varjepa.nn.gaussian import DiagonalGaussian, GaussianHead
from varjepa.nn.random import Randomness
from varjepa.nn.tokenizer import INIT_SCALE
from varjepa.nn.transformer import TransformerEncoder


class VarTJEPANetwork(VariationalNetwork):
    """The network of Var-T-JEPA: `infer` the posteriors, `generate` priors and likelihoods.

    Args:
        sizes: features of the table.
        model: widths, depths and rates.

    References:
        arXiv 2603.20111, appendix A; eq. 22-26 for what the objective does with the outputs.
    """

    def __init__(self, *, sizes: TableSizes, model: ModelSection) -> None:
        super().__init__(sizes=sizes, model=model)
        d, n_features = model.d_hidden, sizes.n_features
        table: dict[str, Any] = {"n_numeric": sizes.n_numeric, "cardinalities": sizes.cardinalities, "d_token": d}
        encoder: dict[str, Any] = {
            "d_model": d,
            "n_layers": model.n_layers,
            "n_heads": model.n_heads,
            "d_feedforward": model.d_feedforward,
            "dropout": model.dropout,
            "n_points": model.n_points,
        }
        self.tokenizer = new_tokenizer(sizes, model)
        self.context_cls = nn.Parameter(torch.randn(model.n_cls, d) * INIT_SCALE)
        self.context_encoder = TransformerEncoder(**encoder)
        self.s_x_head = GaussianHead(d_in=d, d_out=d)
        self.pooling = AttentionPooling(d_model=d, n_pool=model.n_pool, n_heads=model.n_heads)
        self.auxiliary = nn.Sequential(nn.Linear(model.n_pool * d, d), nn.LayerNorm(d), nn.GELU())
        self.z_head = GaussianHead(d_in=d, d_out=d)
        self.target_cls = nn.Parameter(torch.randn(model.n_cls, d) * INIT_SCALE)
        self.target_type = nn.Parameter(torch.randn(2, d) * INIT_SCALE)  # pooled tokens, z token
        self.target_encoder = TransformerEncoder(**encoder)
        self.s_w_head = GaussianHead(d_in=d, d_out=d)
        self.predictor = Predictor(n_features=n_features, model=model)
        self.context_decoder = FeatureDecoder(**table, noise_floor=model.noise_floor)
        self.row_decoder = FeatureDecoder(**table, noise_floor=model.noise_floor)

    def forward(
        self, table: TableTensors, masks: Masks, random: Randomness | None = None
    ) -> tuple[Posterior, Generated]:
        """`infer`, then `generate`; without `random` the latents take their means instead of samples."""
        posterior = self.infer(table, masks, random)
        return posterior, self.generate(posterior, masks, table.observed.shape, random)

    def infer(self, table: TableTensors, masks: Masks, random: Randomness | None = None) -> Posterior:
        """q(s_x | x), q(z | s_x) and q(s_w | s_x, z, w); the last does not depend on the target masks."""
        tokens = self.tokens(table)
        s_x = self._infer_context(tokens, masks, random)
        s_x_value = s_x.mean if random is None else s_x.sample(random)
        pooled = self.pooling(s_x_value, masks.context_valid)  # [B, L, d]
        z = self.z_head(self.auxiliary(pooled.flatten(1)))
        z_value = z.mean if random is None else z.sample(random)
        s_w = self._infer_row(tokens, table.observed, pooled, z_value, random)
        s_w_value = s_w.mean if random is None else s_w.sample(random)
        return Posterior(s_x, z, s_w, s_x_value, z_value, s_w_value)

    def _infer_context(self, tokens: Tensor, masks: Masks, random: Randomness | None) -> DiagonalGaussian:
        index = masks.context.unsqueeze(-1).expand(-1, -1, tokens.shape[-1])
        cls = self.context_cls.expand(len(tokens), -1, -1)
        sequence = torch.cat([cls, tokens.gather(1, index)], dim=1)  # [B, C + M, d]
        hidden = self.context_encoder(sequence, prepend_valid(masks.context_valid, cls.shape[1]), random)
        return self.s_x_head(hidden[:, cls.shape[1] :])

    def _infer_row(
        self, tokens: Tensor, observed: Tensor, pooled: Tensor, z: Tensor, random: Randomness | None
    ) -> DiagonalGaussian:
        front = torch.cat(
            [
                self.target_cls.expand(len(tokens), -1, -1),
                pooled + self.target_type[0],
                z.unsqueeze(1) + self.target_type[1],
            ],
            dim=1,
        )
        sequence = torch.cat([front, tokens], dim=1)  # [B, C + L + 1 + D, d]
        hidden = self.target_encoder(sequence, prepend_valid(observed, front.shape[1]), random)
        return self.s_w_head(hidden[:, front.shape[1] :])

    def generate(
        self, posterior: Posterior, masks: Masks, shape: torch.Size, random: Randomness | None = None
    ) -> Generated:
        """p(s_y | s_x, z) for every target mask, p(x | s_x) and p(w | s_w).

        Args:
            posterior: of `infer`.
            masks: the same masks.
            shape: (B, D) of the table.
            random: of dropout in the predictor.
        """
        s_y = self.predict(posterior, masks, random)
        # The context latents are put back at their features, so that one decoder call serves every mask.
        latents = posterior.s_x_value
        index = masks.context.unsqueeze(-1).expand_as(latents)
        placed = latents.new_zeros(*shape, latents.shape[-1]).scatter(1, index, latents)  # [B, D, d]
        return Generated(s_y, self.context_decoder(placed), self.reconstruct(posterior.s_w_value))

    def predict(self, posterior: Posterior, masks: Masks, random: Randomness | None = None) -> DiagonalGaussian:
        return self.predictor(posterior.s_x_value, posterior.z_value, masks, random)

    def reconstruct(self, s_w: Tensor) -> Likelihood:
        return self.row_decoder(s_w)

    def tokens(self, table: TableTensors) -> Tensor:
        return self.tokenizer(*table.blanked())  # [B, D, d]

    def embed(self, table: TableTensors) -> Embedding:
        """q(s_w | ...) of observed cells, and the predictor's p(s_y | s_x, z) of missing ones."""
        posterior = self.infer(table, full_context(table.observed))
        mean, scale = posterior.s_w.mean, posterior.s_w.scale
        for rows, masks in incomplete_rows(table.observed):
            prior = self.predictor(posterior.s_x_value[rows], posterior.z_value[rows], masks)
            mean[rows] = put_at_targets(mean[rows], prior.mean[:, 0], masks)
            scale[rows] = put_at_targets(scale[rows], prior.scale[:, 0], masks)
        return Embedding(mean, scale)


class Predictor(nn.Module):
    """The JEPA predictor: the conditional prior p(s_y | s_x, z), a narrower transformer over context and mask tokens.

    It sees where the targets are, never what they hold.

    Shape:
        s_x [B, M_ctx, d], z [B, d], masks -> DiagonalGaussian [B, K, M_trg, d]
    """

    def __init__(self, *, n_features: int, model: ModelSection) -> None:
        super().__init__()
        width = model.pred_d
        self.from_s_x = nn.Linear(model.d_hidden, width)
        self.from_z = nn.Linear(model.d_hidden, width)
        self.position = nn.Parameter(torch.randn(n_features, width) / width**0.5)
        self.mask_token = nn.Parameter(torch.randn(width) * INIT_SCALE)
        self.encoder = predictor_encoder(model)
        self.head = GaussianHead(d_in=width, d_out=model.d_hidden)

    def forward(self, s_x: Tensor, z: Tensor, masks: Masks, random: Randomness | None = None) -> DiagonalGaussian:
        batch, n_masks, n_targets = masks.targets.shape
        from_z = self.from_z(z)  # [B, p]
        context = self.from_s_x(s_x) + from_z[:, None] + F.embedding(masks.context, self.position)  # [B, M_ctx, p]
        queries = (
            self.mask_token + from_z[:, None, None] + F.embedding(masks.targets, self.position)
        )  # [B, K, M_trg, p]
        hidden = attend_to_context(self.encoder, context, queries, masks, random)
        mean, logvar = self.head(hidden)
        shape = (batch, n_masks, n_targets, mean.shape[-1])
        return DiagonalGaussian(mean.view(shape), logvar.view(shape))
