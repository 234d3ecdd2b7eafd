"""Pre-norm transformer encoder for short sequences of feature tokens."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.attention import Attention
from varjepa.nn.block import LAYER_NORM_EPS, BlockWeights, Dropped, FusedBlock, block_at
from varjepa.nn.dropout import keep_scale, positions, zero_, zero_before_relu_
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
        return self.plain(x, valid, self.dropped(x, random))

    def plain(self, x: Tensor, valid: Tensor | None, dropped: Dropped) -> Tensor:
        """`forward` after everything that is drawn."""
        keep = dropped.keep
        x = x.add(zero_(self.attention(self.norm_attention(x), valid), dropped.attention), alpha=keep)
        # The scale of the dropout inside is applied to the weights, which are far smaller than the activations.
        hidden = F.relu_(zero_before_relu_(self.expand(self.norm_feedforward(x)), dropped.hidden))
        branch = F.linear(hidden, self.contract.weight * keep, self.contract.bias)
        return x.add(zero_(branch, dropped.feedforward), alpha=keep)

    def compiled(self, x: Tensor, valid: Tensor | None, random: Randomness | None) -> Tensor:
        """As `forward`, by one program that torch compiles for all blocks of equal widths and all sizes of a batch."""
        return _compiled_block()(self, x, valid, self.dropped(x, random))

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


def compile_blocks(network: nn.Module, *, on: bool) -> None:
    """Whether the transformers of a network compile their blocks, where they are not on a CPU."""
    for module in network.modules():
        if isinstance(module, TransformerEncoder):
            module.compiles = on


@cache
def _compiled_block() -> Callable[..., Tensor]:
    return torch.compile(Block.plain, dynamic=True)


class TransformerEncoder(nn.Module):
    """A stack of blocks with a final LayerNorm.

    On a CPU each block is one fused operation (see `varjepa.nn.block`), on other devices many, which torch compiles
    where `compiles` is set and a gradient is wanted.

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
        self.compiles = False

    def forward(self, x: Tensor, valid: Tensor | None = None, random: Randomness | None = None) -> Tensor:
        blocks = cast("Iterable[Block]", self.blocks)
        if x.device.type == "cpu":
            blank = blank_tokens(valid)
            for block in blocks:
                x = block.fused(x, blank, random)
        else:
            compiled = self.compiles and torch.is_grad_enabled()
            for block in blocks:
                x = block.compiled(x, valid, random) if compiled else block(x, valid, random)
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
