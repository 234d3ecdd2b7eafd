"""Pre-norm transformer encoder for short sequences of feature tokens."""

import torch.nn.functional as F
from torch import Tensor, nn

from varjepa.nn.attention import Attention
from varjepa.nn.dropout import drop_, drop_before_relu_, keep_scale
from varjepa.nn.random import Randomness


class Block(nn.Module):
    """LayerNorm, attention, LayerNorm, feed-forward (ReLU), each with a residual; dropout inside the feed-forward
    part and on both residual branches.

    Shape:
        x [B, L, d_model], valid bool [B, L] or None -> [B, L, d_model]
    """

    def __init__(self, *, d_model: int, n_heads: int, d_feedforward: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model)
        self.attention = Attention(d_model=d_model, n_heads=n_heads)
        self.norm_feedforward = nn.LayerNorm(d_model)
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


class TransformerEncoder(nn.Module):
    """A stack of blocks with a final LayerNorm.

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
        for block in self.blocks:
            x = block(x, valid, random)
        return self.norm(x)
