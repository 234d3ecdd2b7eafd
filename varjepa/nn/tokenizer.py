"""Feature tokens: one vector per cell of a row (arXiv 2603.20111, appendix A)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

INIT_SCALE = 0.02
"""Standard deviation of small initial embeddings, as is usual for transformers."""


STEEPEST = 1e30
"""Rate at which the narrowest bins fill: times 0 it is 0, which infinity is not."""


class FeatureTokenizer(nn.Module):
    """Turns a row's cells into tokens: value part + type embedding + position embedding.

    Numeric cell j: `weight * value + bias_j` with one weight vector for all numeric features, and a piecewise-linear
    part of its own where feature j has bins. Categorical cell j: a row of feature j's embedding table. Features are
    ordered numeric first, then categorical.

    Args:
        n_numeric: numeric features.
        cardinalities: codes per categorical feature, the reserved ones (0 missing, 1 other) included.
        d_token: token width.
        bins: per numeric feature the rising ends of its bins; none, or an empty sequence, where it has none.

    Shape:
        numeric [B, n_numeric], codes int [B, n_categorical] -> [B, n_numeric + n_categorical, d_token]
    """

    offsets: Tensor

    def __init__(
        self, *, n_numeric: int, cardinalities: Sequence[int], d_token: int, bins: Sequence[Sequence[float]] = ()
    ) -> None:
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
        self.pieces = PiecewiseLinear(bins, d_token=d_token) if any(bins) else None

    def forward(self, numeric: Tensor, codes: Tensor) -> Tensor:
        numbers = numeric.unsqueeze(-1) * self.weight + (self.bias + self.kind[0])  # [B, Dn, d]
        if self.pieces is not None:
            numbers = numbers.index_add(1, self.pieces.features, self.pieces(numeric).to(numbers.dtype))
        categories = nn.functional.embedding(codes + self.offsets, self.table) + self.kind[1]  # [B, Dc, d]
        return torch.cat([numbers, categories], dim=1) + self.position


class PiecewiseLinear(nn.Module):
    """A continuous function of each binned number: a straight line within each bin, 0 at the number 0.

    As a missing cell has the number 0, it has no such part. Below and above all bins the function is constant.

    Args:
        bins: as for `FeatureTokenizer`.
        d_token: token width.

    Attributes:
        shares: of the bins of the F features that have any.

    Shape:
        numeric [B, n_numeric] -> [B, F, d_token]
    """

    def __init__(self, bins: Sequence[Sequence[float]], *, d_token: int) -> None:
        super().__init__()
        self.shares = BinShares(bins)
        features, most = self.shares.starts.shape
        # From the first bin to the last, a token moves as far as by two standard deviations of a number.
        self.steps = nn.Parameter(torch.randn(features, most, d_token) * (2 / (d_token * most) ** 0.5))

    @property
    def features(self) -> Tensor:
        """The F features that have bins, int64 [F]."""
        return self.shares.features

    def forward(self, numeric: Tensor) -> Tensor:
        return torch.einsum("bft,ftd->bfd", self.shares(numeric), self.steps)


class BinShares(nn.Module):
    """The share of each bin that lies below a number, less the same share of the number 0.

    Args:
        bins: as for `FeatureTokenizer`; at least one feature has bins.

    Attributes:
        features: the F features that have bins, int64 [F].
        starts: lower ends of the bins [F, T].
        rates: at which the bins fill [F, T]; 0 for bins that a feature lacks.

    Shape:
        numeric [B, n_numeric] -> [B, F, T]

    References:
        Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", arXiv
        2203.05556, section 3.2.
    """

    features: Tensor
    starts: Tensor
    rates: Tensor

    def __init__(self, bins: Sequence[Sequence[float]]) -> None:
        super().__init__()
        features = [feature for feature, ends in enumerate(bins) if len(ends)]
        most = max(len(bins[feature]) for feature in features) - 1  # T bins at most
        starts, rates = torch.zeros(2, len(features), most, dtype=torch.float64)
        for place, feature in enumerate(features):
            ends = torch.tensor(bins[feature], dtype=torch.float64)
            starts[place, : len(ends) - 1] = ends[:-1]
            rates[place, : len(ends) - 1] = (1 / ends.diff()).clamp(max=STEEPEST)
        # Not saved with the weights: they follow from the bins.
        self.register_buffer("features", torch.tensor(features), persistent=False)
        self.register_buffer("starts", starts.float(), persistent=False)
        self.register_buffer("rates", rates.float(), persistent=False)

    def forward(self, numeric: Tensor) -> Tensor:
        return self._filled(numeric[:, self.features]) - self._filled(self.starts.new_zeros(1))

    def _filled(self, numbers: Tensor) -> Tensor:
        """Share of each bin that lies below numbers [B, F], [B, F, T]."""
        return ((numbers.unsqueeze(-1) - self.starts) * self.rates).clamp(0, 1)
