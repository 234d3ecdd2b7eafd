"""Pre-norm transformer encoder for short sequences of feature tokens."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.attention import Attention, InducedAttention
from varjepa.nn.block import LAYER_NORM_EPS, BlockWeights, Dropped, FusedBlock, block_at, ready_weights
from varjepa.nn.dropout import keep_scale, positions, zero_, zero_before_relu_
from varjepa.nn.packed import blank_tokens
from varjepa.nn.random import Randomness


class Block(nn.Module):
    """LayerNorm, attention, LayerNorm, feed-forward (ReLU), each with a residual; dropout inside the feed-forward
    part and on both residual branches.

    Args:
        d_model: token width.
        n_heads: attention heads.
        d_feedforward: width of the feed-forward part.
        n_points: of `InducedAttention`; 0: every token attends to every other.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None, `Dropped` -> [B, L, d_model]
    """

    def __init__(self, *, d_model: int, n_heads: int, d_feedforward: int, n_points: int = 0) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.attention: nn.Module = (
            InducedAttention(d_model=d_model, n_heads=n_heads, n_points=n_points)
            if n_points
            else Attention(d_model=d_model, n_heads=n_heads)
        )
        self.norm_feedforward = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.expand = nn.Linear(d_model, d_feedforward)
        self.contract = nn.Linear(d_feedforward, d_model)

    def forward(self, x: Tensor, valid: Tensor | None, dropped: Dropped) -> Tensor:
        keep = dropped.keep
        x = x.add(zero_(self.attention(self.norm_attention(x), valid), dropped.attention), alpha=keep)
        # The scale of the dropout inside is applied to the weights, which are far smaller than the activations.
        hidden = F.relu_(zero_before_relu_(self.expand(self.norm_feedforward(x)), dropped.hidden))
        branch = F.linear(hidden, self.contract.weight * keep, self.contract.bias)
        return x.add(zero_(branch, dropped.feedforward), alpha=keep)

    def compiled(self, x: Tensor, valid: Tensor | None, dropped: Dropped) -> Tensor:
        """As `forward`, by one program that torch compiles for all blocks of equal widths and all sizes of a batch."""
        return _compiled_block()(self, x, valid, dropped)

    @property
    def weights(self) -> BlockWeights:
        """All parameters of a block in which every token attends to every other."""
        attention = cast("Attention", self.attention)
        layers = (attention.qkv, attention.out, self.expand, self.contract,
                  self.norm_attention, self.norm_feedforward)  # fmt: skip
        return BlockWeights(*(part for layer in layers for part in (layer.weight, layer.bias)))


def compile_blocks(network: nn.Module, *, on: bool) -> None:
    """Whether the transformers of a network compile their blocks, where they are not on a CPU."""
    for module in network.modules():
        if isinstance(module, TransformerEncoder):
            module.compiles = on


@cache
def _compiled_block() -> Callable[..., Tensor]:
    return torch.compile(Block.forward, dynamic=True)


class TransformerEncoder(nn.Module):
    """A stack of blocks with a final LayerNorm.

    On a CPU each block is one fused operation (see `varjepa.nn.block`), on other devices many, which torch compiles
    where `compiles` is set and a gradient is wanted. Blocks with points are many operations everywhere.

    Args:
        d_model: token width.
        n_layers: blocks.
        n_heads: attention heads; divides `d_model`.
        d_feedforward: width of the feed-forward part.
        dropout: rate in [0, 1).
        n_points: see `Block`.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None (all valid) -> [B, L, d_model]
    """

    def __init__(
        self, *, d_model: int, n_layers: int, n_heads: int, d_feedforward: int, dropout: float, n_points: int = 0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(d_model=d_model, n_heads=n_heads, d_feedforward=d_feedforward, n_points=n_points)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.n_heads, self.d_feedforward, self.dropout, self.n_points = n_heads, d_feedforward, dropout, n_points
        self.compiles = False

    def forward(self, x: Tensor, valid: Tensor | None = None, random: Randomness | None = None) -> Tensor:
        # All drops of a batch are drawn before the first block, so that every path consumes the same numbers.
        blocks, dropped = cast("Iterable[Block]", self.blocks), self.dropped(x, random)
        if self._fused(x):
            blank, keep = blank_tokens(valid), dropped[0].keep if dropped else 1.0
            for weights, drop in zip(self._weights(x, keep), dropped, strict=True):
                x = FusedBlock.apply(x, blank, self.n_heads, drop, *weights)
        else:
            compiled = self.compiles and torch.is_grad_enabled()
            for block, drop in zip(blocks, dropped, strict=True):
                x = block.compiled(x, valid, drop) if compiled else block(x, valid, drop)
        return self.norm(x)

    @torch.no_grad()
    def at(self, x: Tensor, positions: Tensor) -> Tensor:
        """Output of `forward` at some positions int64 [P], cheaper: [B, P, d_model], without a gradient."""
        if not self._fused(x) or not len(self.blocks):
            return self(x)[:, positions]
        # Later blocks attend to every token, so only the last one can skip the positions not asked for.
        *most, last = self._weights(x, 1.0)
        for weights in most:
            x = FusedBlock.apply(x, None, self.n_heads, Dropped(), *weights)
        return self.norm(block_at(x, positions, self.n_heads, last))

    def _fused(self, x: Tensor) -> bool:
        return x.device.type == "cpu" and not self.n_points

    def dropped(self, x: Tensor, random: Randomness | None) -> list[Dropped]:
        """Positions that dropout zeroes in a batch [B, L, d_model], block by block."""
        n_blocks = len(self.blocks)
        if not self.training or random is None or self.dropout == 0.0 or not n_blocks:
            return [Dropped()] * n_blocks
        residual = positions(x.numel(), self.dropout, random, x.device, 2 * n_blocks)
        hidden = x.numel() // x.shape[2] * self.d_feedforward  # elements of [B, L, d_feedforward]
        inside = positions(hidden, self.dropout, random, x.device, n_blocks)
        keep = keep_scale(self.dropout)
        # Two residual draws per block: the even ones for attention, the odd ones for the feed-forward part.
        return [Dropped(*drops, keep) for drops in zip(residual[::2], inside, residual[1::2], strict=True)]

    def _weights(self, x: Tensor, keep: float) -> list[BlockWeights]:
        """Weights of the fused blocks, in the type of products with `x`."""
        blocks = [block.weights for block in cast("Iterable[Block]", self.blocks)]
        dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else x.dtype
        return ready_weights(blocks, self.n_heads, keep, dtype) if blocks else []
