"""Feature tokens: one vector per cell of a row (arXiv 2603.20111, appendix A)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

INIT_SCALE = 0.02
"""Standard deviation of small initial embeddings, as is usual for transformers."""


class FeatureTokenizer(nn.Module):
    """Turns a row's cells into tokens: value part + type embedding + position embedding.

    Numeric cell j: `weight * value + bias_j` with one weight vector for all numeric features; categorical cell j: a row
    of feature j's embedding table. Features are ordered numeric first, then categorical.

    Args:
        n_numeric: numeric features.
        cardinalities: codes per categorical feature, the reserved ones (0 missing, 1 other) included.
        d_token: token width.

    Shape:
        numeric [B, n_numeric], codes int [B, n_categorical] -> [B, n_numeric + n_categorical, d_token]
    """

    offsets: Tensor

    def __init__(self, *, n_numeric: int, cardinalities: Sequence[int], d_token: int) -> None:
        super().__init__()
        n_features = n_numeric + len(cardinalities)
        self.n_numeric = n_numeric
        self.weight = nn.Parameter(torch.randn(d_token) / d_token**0.5)
        self.bias = nn.Parameter(torch.randn(n_numeric, d_token) * INIT_SCALE)
        self.table = nn.Parameter(torch.randn(sum(cardinalities), d_token) / d_token**0.5)
        self.kind = nn.Parameter(torch.randn(2, d_token) * INIT_SCALE)  # type embeddings: numeric, categorical
        self.position = nn.Parameter(torch.randn(n_features, d_token) / d_token**0.5)
        # One table for all categorical features: feature j's codes start at row offsets[j].
        offsets = torch.tensor([0, *cardinalities[:-1]] if cardinalities else [], dtype=torch.long).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        with torch.no_grad():
            # Codes that training may never show (missing, other) start without a value part and so stay in range.
            for reserved in (0, 1):
                self.table[self.offsets + reserved] = 0.0

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        numbers = numeric.unsqueeze(-1) * self.weight + (self.bias + self.kind[0])  # [B, Dn, d]
        categories = nn.functional.embedding(codes + self.offsets, self.table) + self.kind[1]  # [B, Dc, d]
        return torch.cat([numbers, categories], dim=1) + self.position
