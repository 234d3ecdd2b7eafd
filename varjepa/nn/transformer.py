"""Pre-norm transformer encoder for short sequences of feature tokens."""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.attention import Attention
from varjepa.nn.block import LAYER_NORM_EPS, BlockWeights, Dropped, FusedBlock, block_at
from varjepa.nn.dropout import drop_, drop_before_relu_, keep_scale, positions
from varjepa.nn.packed import Blank, blank_tokens
from varjepa.nn.random import Randomness


class Block(nn.Module):
    """LayerNorm, attention, LayerNorm, feed-forward (ReLU), each with a residual; dropout inside the feed-forward
    part and on both residual branches.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None -> [B, L, d_model]
    """

    def __init__(self, *, d_model: int, n_heads: int, d_feedforward: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.attention = Attention(d_model=d_model, n_heads=n_heads)
        self.norm_feedforward = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(d_model, d_feedforward)
        self.contract = nn.Linear(d_feedforward, d_model)
        self.dropout = dropout

    def forward(self, x: Tensor, valid: Tensor | None, random: Randomness | None) -> Tensor:
        rate = self.dropout if self.training and random is not None else 0.0
        keep = keep_scale(rate)
        x = x.add(drop_(self.attention(self.norm_attention(x), valid), rate, random), alpha=keep)
        # The scale of the dropout inside is applied to the weights, which are far smaller than the activations.
        hidden = F.relu_(drop_before_relu_(self.expand(self.norm_feedforward(x)), rate, random))
        branch = F.linear(hidden, self.contract.weight * keep, self.contract.bias)
        return x.add(drop_(branch, rate, random), alpha=keep)

    @property
    def weights(self) -> BlockWeights:
        """All parameters."""
        norm1, attention, norm2 = self.norm_attention, self.attention, self.norm_feedforward
        layers = (norm1, attention.qkv, attention.out, norm2, self.expand, self.contract)
        return BlockWeights(*(part for layer in layers for part in (layer.weight, layer.bias)))

    def fused(self, x: Tensor, blank: Blank, random: Randomness | None) -> Tensor:
        """As `forward`, in one operation for a CPU."""
        return FusedBlock.apply(x, blank, self.attention.n_heads, self.dropped(x, random), *self.weights)

    def dropped(self, x: Tensor, random: Randomness | None) -> Dropped:
        """What dropout hits in a batch [B, L, d_model]: the same as `forward` would draw."""
        if not self.training or random is None or self.dropout == 0.0:
            return Dropped()
        hidden = x.numel() // x.shape[2] * self.expand.out_features
        first, second, third = (
            positions(size, self.dropout, random, x.device) for size in (x.numel(), hidden, x.numel())
        )
        return Dropped(first, second, third, keep_scale(self.dropout))


class TransformerEncoder(nn.Module):
    """A stack of blocks with a final LayerNorm.

    On a CPU each block is one fused operation (see `varjepa.nn.block`), on other devices many that torch compiles.

    Args:
        d_model: token width.
        n_layers: blocks.
        n_heads: attention heads; divides `d_model`.
        d_feedforward: width of the feed-forward part.
        dropout: rate in [0, 1).

    Shape:
        x [B, L, d_model], valid bool [B, L] or None (all valid) -> [B, L, d_model]
    """

    def __init__(self, *, d_model: int, n_layers: int, n_heads: int, d_feedforward: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(d_model=d_model, n_heads=n_heads, d_feedforward=d_feedforward, dropout=dropout)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, valid: Tensor | None = None, random: Randomness | None = None) -> Tensor:
        fused, blocks = x.device.type == "cpu", cast("Iterable[Block]", self.blocks)
        blank = blank_tokens(valid) if fused else None
        for block in blocks:
            x = block.fused(x, blank, random) if fused else block(x, valid, random)
        return self.norm(x)

    @torch.no_grad()
    def at(self, x: Tensor, positions: Tensor) -> Tensor:
        """What `forward` says of some positions int64 [P], for less: [B, P, d_model], without a gradient."""
        if x.device.type != "cpu" or not len(self.blocks):
            return self(x)[:, positions]
        *blocks, last = cast("Iterable[Block]", self.blocks)
        for block in blocks:
            x = block.fused(x, None, None)
        return self.norm(block_at(x, positions, last.attention.n_heads, last.weights))
