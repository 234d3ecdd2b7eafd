"""Shared parts of the predictors of all kinds: mask tokens at the target positions attend to the context."""

import torch
from torch import Tensor

from varjepa.config import ModelSection
from varjepa.models.masks import Masks
from varjepa.nn.random import Randomness
from varjepa.nn.transformer import TransformerEncoder


def predictor_encoder(model: ModelSection) -> TransformerEncoder:
    """The predictor's own transformer, narrower than the encoders."""
    return TransformerEncoder(
        d_model=model.pred_d,
        n_layers=model.pred_n_layers,
        n_heads=model.pred_n_heads,
        d_feedforward=model.pred_d_feedforward,
        dropout=model.pred_dropout,
        n_points=model.n_points,
    )


def prepend_valid(valid: Tensor, count: int) -> Tensor:
    """Validity of a sequence with `count` always-valid tokens in front of `valid` [B, L]."""
    return torch.cat([valid.new_ones(len(valid), count), valid], dim=1)


def attend_to_context(
    encoder: TransformerEncoder, context: Tensor, queries: Tensor, masks: Masks, random: Randomness | None
) -> Tensor:
    """Runs the mask tokens of every target mask, together with the context, through the predictor's transformer.

    Args:
        encoder: the transformer.
        context: [B, A + M_ctx, p]; the first A tokens are always valid.
        queries: mask tokens [B, K, M_trg, p].
        masks: which context tokens and targets are valid.
        random: of dropout.

    Returns:
        Outputs at the mask tokens, [B K, M_trg, p].
    """
    _, n_masks, n_targets = masks.targets.shape
    in_front = context.shape[1] - masks.context.shape[1]
    # A sequence per target mask, so that the targets of one mask do not see those of another.
    repeated = context[:, None].expand(-1, n_masks, -1, -1)
    sequence = torch.cat([repeated, queries.to(context.dtype)], dim=2).flatten(0, 1)  # [B K, A + M_ctx + M_trg, p]
    context_valid = prepend_valid(masks.context_valid, in_front)[:, None].expand(-1, n_masks, -1)
    valid = torch.cat([context_valid, masks.targets_valid], dim=2).flatten(0, 1)
    return encoder(sequence, valid, random)[:, -n_targets:] if n_targets else sequence[:, :0]
