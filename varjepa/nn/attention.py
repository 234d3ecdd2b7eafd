"""Multi-head attention: torch's own kernels, and on a CPU the packed formulation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.packed import PackedAttention, blank_tokens


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
    if q.device.type == "cpu":
        # Faster for the 10 to 60 tokens of a row; a GPU has kernels of its own.
        return PackedAttention.apply(q, k, v, blank_tokens(valid))
    return attend_by_torch(q, k, v, valid)


def attend_by_torch(q: Tensor, k: Tensor, v: Tensor, valid: Tensor | None = None) -> Tensor:
    """`attend` by torch's own kernels."""
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


class InducedAttention(nn.Module):
    """Self-attention by way of a few learned points, whose cost is proportional to the number of tokens.

    The points attend to the tokens, then the tokens attend to the points. For rows of hundreds of features, where every
    token attending to every other takes most of the time.

    Args:
        d_model: token width, a multiple of `n_heads`.
        n_heads: heads.
        n_points: points.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None -> [B, L, d_model]

    References:
        Lee et al., "Set Transformer", ICML 2019: induced set attention.
    """

    def __init__(self, *, d_model: int, n_heads: int, n_points: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.points = AttentionPooling(d_model=d_model, n_pool=n_points, n_heads=n_heads)
        self.norm = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        points = self.norm(self.points(x, valid))  # [B, P, d_model]
        shape = (batch, -1, self.n_heads, width // self.n_heads)
        q, k, v = (
            part.view(shape).transpose(1, 2) for part in (self.query(x), *self.key_value(points).chunk(2, dim=-1))
        )  # q [B, H, L, d / H], k and v [B, H, P, d / H]
        return self.out(attend(q, k, v).transpose(1, 2).reshape(batch, length, width))


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
        # The same queries for every row: expanded, not copied.
        q = self.queries.view(n_pool, self.n_heads, d_head).transpose(0, 1).expand(batch, -1, -1, -1)
        mixed = attend(q.to(k.dtype), k, v, valid)
        return self.out(mixed.transpose(1, 2).reshape(batch, n_pool, width))
