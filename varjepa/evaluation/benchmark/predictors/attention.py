"""Self-attention over few tokens on packed projections, with dropout of its weights.

As `varjepa.nn.packed.PackedAttention`, but one copy takes queries, keys and values out of the projection, and the
backward pass writes into one gradient of it: at 14 tokens and width 128, copies and
zero fills were 30% of a training step without it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.nn.packed import shifted_exp_, within_limit

QKV, QKV_RESIDUAL = 3, 4
"""Parts of a packed projection: queries, keys, values, and what is added to the result."""

LONGEST_SHORT = 48
"""Sequences up to this length take `SelfAttention` on a CPU; beyond, its square matrices leave the cache."""


class SelfAttention(torch.autograd.Function):
    """(softmax(q k^T / sqrt(d)) * keep) v of all heads, normalised after the product; plus the fourth part, if any.

    Shape:
        packed [B, L, n_parts * H * d], keep [B * H, L, L] or None -> [B, L, H * d]
    """

    @staticmethod
    def forward(ctx: Any, packed: Tensor, n_parts: int, n_heads: int, keep: Tensor | None) -> Tensor:
        batch, length, width = packed.shape
        parts = packed.view(batch, length, n_parts, n_heads, width // n_parts // n_heads)
        # One copy puts each head's rows side by side, as the batched products want them.
        qkv = _by_head(parts).contiguous().view(QKV, batch * n_heads, length, -1)  # [3, B H, L, d]
        q, k, v = qkv
        weights, sums = _weights(q, k)  # [B H, L, L], [B H, L, 1]
        inverse = sums.reciprocal_()
        kept = weights if keep is None else weights * keep
        mixed = torch.bmm(kept, v).mul_(inverse)  # [B H, L, d]; normalised here, where there are d numbers and not L
        ctx.save_for_backward(qkv, weights, keep, kept, mixed, inverse)
        ctx.n_parts, ctx.n_heads = n_parts, n_heads
        out = packed.new_empty(batch, length, n_heads, mixed.shape[-1])  # [B, L, H, d]
        heads = mixed.view(batch, n_heads, length, -1).transpose(1, 2)
        out = out.copy_(heads) if n_parts == QKV else torch.add(heads, parts[:, :, QKV], out=out)
        return out.view(batch, length, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        qkv, weights, keep, kept, mixed, inverse = ctx.saved_tensors
        q, k, v = qkv
        batch, length, width = grads[0].shape
        d = width // ctx.n_heads
        grad = grads[0].new_empty(batch, length, ctx.n_parts, ctx.n_heads, d)  # of `packed`, all parts in one
        if ctx.n_parts > QKV:
            grad[:, :, QKV] = grads[0].view(batch, length, ctx.n_heads, d)
        heads = grads[0].view(batch, length, ctx.n_heads, d).transpose(1, 2)
        grad_mixed = heads.contiguous().view(-1, length, d).mul_(inverse)  # [B H, L, d]
        grad_scores = torch.bmm(grad_mixed, v.mT)  # [B H, L, L]
        if keep is not None:
            grad_scores.mul_(keep)
        # The normaliser's part of the gradient is the same for all keys of a query: sum of gradient times result.
        grad_scores.sub_(_row_sums(grad_mixed * mixed)).mul_(weights).mul_(d**-0.5)
        # [3, B H, L, d], in the order of `QKV`.
        grad_qkv = torch.stack([grad_scores @ k, grad_scores.mT @ q, kept.mT @ grad_mixed])
        _by_head(grad).copy_(grad_qkv.view(QKV, batch, ctx.n_heads, length, d))
        return grad.view(batch, length, -1), None, None, None


def _weights(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Attention weights before normalisation [B H, L, L], and their sums [B H, L, 1]."""
    scale = q.shape[-1] ** -0.5
    if q.device.type == "cpu":
        # The sums tell whether the weights were in range without the maximum of each row, as nearly always.
        weights = torch.bmm(q, k.mT).mul_(scale).exp_()
        sums = _row_sums(weights)
        if within_limit(sums):
            return weights, sums
    # Elsewhere always: the host would have to wait for the answer.
    weights = shifted_exp_(torch.bmm(q, k.mT).mul_(scale))
    return weights, _row_sums(weights)


def _by_head(parts: Tensor) -> Tensor:
    """[B, L, n_parts, H, d] -> queries, keys and values [3, B, H, L, d], a view."""
    return parts[:, :, :QKV].permute(2, 0, 3, 1, 4)


def _row_sums(x: Tensor) -> Tensor:
    # A sum over a short last axis is faster as a product with ones.
    return (x.view(-1, x.shape[-1]) @ x.new_ones(x.shape[-1], 1)).view(*x.shape[:-1], 1)


def self_attention(packed: Tensor, *, n_parts: int, n_heads: int, keep: Tensor | None = None) -> Tensor:
    """Self-attention on packed projections by whichever formulation is faster.

    Args:
        packed: [B, L, n_parts * H * d].
        n_parts: `QKV` or `QKV_RESIDUAL`.
        n_heads: H.
        keep: factors of the weights [B * H, L, L]; None means 1.

    Returns:
        [B, L, H * d].
    """
    batch, length, width = packed.shape
    if keep is not None or (length <= LONGEST_SHORT and packed.device.type == "cpu"):
        return SelfAttention.apply(packed, n_parts, n_heads, keep)
    parts = packed.view(batch, length, n_parts, width // n_parts).unbind(2)  # n_parts times [B, L, H d]
    q, k, v = (part.view(batch, length, n_heads, -1).transpose(1, 2) for part in parts[:QKV])
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, -1)
    return mixed if n_parts == QKV else mixed + parts[QKV]
