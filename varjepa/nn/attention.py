"""Multi-head attention over few tokens, with a formulation of its own where that is faster.

On a CPU the fused kernels of torch are made for long sequences; with 10 to 40 tokens per row most of their time is
overhead. `ShortAttention` does the same arithmetic as a handful of batched products on contiguous memory: at 18
tokens, width 64 and 4 heads about half the time, forward and backward.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LONGEST_SHORT = 48
"""Sequences up to this length take `ShortAttention` on a CPU; beyond, its square matrices leave the
cache and the fused kernels win (measured at 58 tokens: twice as fast)."""

SCORE_LIMIT = 60.0
"""Scores are clamped to +-60 instead of subtracting each row's maximum: exp(60) is far inside the float range, and a
softmax between such scores is saturated anyway."""


class ShortAttention(torch.autograd.Function):
    """softmax(q k^T / sqrt(d)) v for packed heads, normalised after the product with the values.

    The values get a column of ones, so that one product gives both the weighted sum and its normaliser. Invalid keys
    have weight exactly 0; with no valid key the output is 0.

    Shape:
        q [B, H, Q, d], k [B, H, L, d], v [B, H, L, d], valid bool [B, L] or None -> [B, H, Q, d]
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None) -> Tensor:
        batch, heads, length, d = k.shape
        scaled_q = (q * d**-0.5).reshape(batch * heads, -1, d)
        k_t = k.transpose(2, 3).reshape(batch * heads, d, length)
        v_one = v.new_ones(batch, heads, length, d + 1)
        v_one[..., :d] = v
        v_one = v_one.view(batch * heads, length, d + 1)
        weights = torch.bmm(scaled_q, k_t).clamp_(-SCORE_LIMIT, SCORE_LIMIT).exp_()  # [B H, Q, L]
        if valid is not None:
            weights.view(batch, heads, -1, length).mul_(valid[:, None, None, :])
        mixed = torch.bmm(weights, v_one)
        inverse = mixed[..., d:].clamp(min=torch.finfo(v.dtype).tiny).reciprocal()
        out = mixed[..., :d] * inverse
        ctx.save_for_backward(scaled_q, k_t, v_one, weights, out, inverse)
        return out.view(batch, heads, -1, d)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        scaled_q, k_t, v_one, weights, out, inverse = ctx.saved_tensors
        batch, heads, queries, d = grads[0].shape
        grad_out = grads[0].reshape(batch * heads, queries, d) * inverse
        grad_mixed = grad_out.new_empty(batch * heads, queries, d + 1)
        grad_mixed[..., :d] = grad_out
        # A sum over a short last axis is faster as a product with ones.
        grad_mixed[..., d:] = -((grad_out * out).view(-1, d) @ grad_out.new_ones(d, 1)).view(-1, queries, 1)
        grad_scores = torch.bmm(grad_mixed, v_one.transpose(1, 2)).mul_(weights)
        grad_q = torch.bmm(grad_scores, k_t.transpose(1, 2)).mul_(d**-0.5)
        grad_k = torch.bmm(grad_scores.transpose(1, 2), scaled_q)
        grad_v = torch.bmm(weights.transpose(1, 2), grad_mixed)[..., :d]
        shape = (batch, heads, -1, d)
        return grad_q.view(shape), grad_k.view(shape), grad_v.reshape(shape), None


def attend(q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None) -> Tensor:
    """Attention by whichever formulation is faster where the tensors live.

    Args:
        q: [B, H, Q, d].
        k: [B, H, L, d].
        v: [B, H, L, d].
        valid: bool [B, L], keys that may be attended to; None means all.

    Returns:
        [B, H, Q, d]; 0 in rows without a valid key.
    """
    if q.device.type == "cpu" and k.shape[2] <= LONGEST_SHORT and q.dtype in (torch.float32, torch.float64):
        return ShortAttention.apply(q, k, v, valid)
    if valid is None:
        return F.scaled_dot_product_attention(q, k, v)
    # Half the smallest finite number instead of -inf, and blanked values: no NaN in rows without a valid key.
    bias = torch.zeros(valid.shape, dtype=q.dtype, device=q.device)
    bias = bias.masked_fill(~valid, torch.finfo(q.dtype).min / 2)[:, None, None, :]
    v = v * valid[:, None, :, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


class Attention(nn.Module):
    """Multi-head self-attention over valid tokens.

    Args:
        d_model: token width, a multiple of `n_heads`.
        n_heads: heads.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None -> [B, L, d_model]
    """

    def __init__(self, *, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.n_heads, width // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, H, L, d / H]
        return self.out(attend(q, k, v, valid).transpose(1, 2).reshape(batch, length, width))


class AttentionPooling(nn.Module):
    """Learned queries attend to a set of tokens: any number in, a fixed number out, in no order.

    A row without valid tokens pools to a learned constant, whatever its invalid tokens hold.

    Args:
        d_model: token width, a multiple of `n_heads`.
        n_pool: tokens out.
        n_heads: attention heads.

    Shape:
        x [B, M, d_model], valid bool [B, M] or None -> [B, n_pool, d_model]
    """

    def __init__(self, *, d_model: int, n_pool: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.queries = nn.Parameter(torch.randn(n_pool, d_model) / d_model**0.5)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        batch, length, width = x.shape
        n_pool, d_head = len(self.queries), width // self.n_heads
        k, v = self.key_value(x).view(batch, length, 2, self.n_heads, d_head).permute(2, 0, 3, 1, 4)
        q = self.queries.view(n_pool, self.n_heads, d_head).transpose(0, 1).expand(batch, -1, -1, -1)
        mixed = attend(q.to(k.dtype), k, v, valid)
        return self.out(mixed.transpose(1, 2).reshape(batch, n_pool, width))
