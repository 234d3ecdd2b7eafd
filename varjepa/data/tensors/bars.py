"""Numeric features as bars: intervals of their encoded values that hold about equally many training rows.

A softmax over bars can represent a distribution of any shape, also with long tails and gaps. A value that many rows
share has a bar of its own. Within a bar, values are interpolated between quantiles of the training rows.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.base import Facts
from varjepa.data.tensors.table import TableTensors

N_POINTS = 17
"""Points stored per bar: its smallest and largest value, and quantiles between them."""

CUT_ROWS = 200_000
"""The edges of bars come from at most this many training rows."""


class Bars(Facts):
    """Bars of one numeric feature, in encoded units.

    Attributes:
        edges: K - 1 rising numbers; bar k holds `edges[k - 1] <= value < edges[k]`.
        points: per bar, `N_POINTS` values at evenly spaced ranks, in increasing order (ties possible).
    """

    edges: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]


def cut(values: NDArray[np.float32], n_bars: int) -> Bars:
    """Cuts the observed values of a feature into at most about `n_bars` bars.

    Args:
        values: [N], at least one; encoded, without missing ones.
        n_bars: if there are at most this many distinct values, each has its own bar. So has every value that more than
            one in `n_bars` rows share.

    Examples:
        >>> cut(np.array([0, 0, 0, 1, 2], dtype=np.float32), 8).edges
        (0.5, 1.5)
    """
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    if len(distinct) <= n_bars:
        starts = np.arange(len(distinct))
    else:
        # `number` is the bar of each value by the middle of its ranks. A bar starts where that number rises, at a
        # common value, and after a common value. [number of distinct values]
        middle = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        number = np.floor(middle * n_bars)
        common = counts * n_bars > counts.sum()
        new = (np.diff(number) > 0) | common[1:] | common[:-1]
        starts = np.r_[0, np.flatnonzero(new) + 1]
    # Edges lie halfway between the last value of a bar and the first of the next, [K - 1] each. Between two numbers of
    # 32 bits there may be none, and halfway may round to the lower one, which would then be in the next bar.
    last, first = distinct[starts[1:] - 1], distinct[starts[1:]]
    halfway = 0.5 * (last + first)
    edges = np.where(halfway.astype(np.float32) > last, halfway, first)
    groups = zip(np.split(distinct, starts[1:]), np.split(counts, starts[1:]), strict=True)
    return Bars(edges=tuple(edges.tolist()), points=tuple(tuple(_points(members, c).tolist()) for members, c in groups))


def one_bar(low: float, high: float) -> Bars:
    """A single bar between two encoded values, of a feature of which nothing else is known."""
    return Bars(edges=(), points=(tuple(np.linspace(low, high, N_POINTS).tolist()),))


def _points(members: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values of one bar at evenly spaced ranks, [N_POINTS]."""
    # Ranks count rows, not distinct values: cumulative counts turn a rank into a value.
    ranks = np.round(np.linspace(0, counts.sum() - 1, N_POINTS)).astype(np.int64)
    return members[np.searchsorted(np.cumsum(counts), ranks, side="right")]


class Cells:
    """Cells as classes of a generator: one class per bar of a numeric feature, one per code of a categorical feature.

    Class c of a categorical feature is code c + 1. The code of a missing cell (0) has no class.

    Args:
        bars: of the numeric features, in their order.
        cardinalities: codes per categorical feature, the reserved ones included.

    Attributes:
        sizes: classes per feature, numeric first.
        points: float32 [n_numeric, K, N_POINTS], padded with zeros.
    """

    def __init__(self, bars: Sequence[Bars], cardinalities: Sequence[int]) -> None:
        self.edges = [torch.tensor(feature.edges, dtype=torch.float32) for feature in bars]
        self.sizes = [len(feature.points) for feature in bars] + [size - 1 for size in cardinalities]
        # Features have different numbers of bars: K is the largest, and the rest is padding.
        self.points = torch.zeros(len(bars), max((len(feature.points) for feature in bars), default=0), N_POINTS)
        for number, feature in enumerate(bars):
            self.points[number, : len(feature.points)] = torch.tensor(feature.points, dtype=torch.float32)

    def to(self, device: torch.device | str) -> Self:
        """Moves edges and points to a device, in place."""
        self.edges = [edges.to(device) for edges in self.edges]
        self.points = self.points.to(device)
        return self

    @property
    def n_numeric(self) -> int:
        """Number of numeric features."""
        return len(self.edges)

    def classes(self, table: TableTensors) -> Tensor:
        """Class of every cell, int64 [N, D]; arbitrary where the cell is missing."""
        numeric, codes = table.blanked()  # [N, n_numeric], [N, n_categorical]
        bars = [torch.bucketize(numeric[:, j].contiguous(), edges, right=True) for j, edges in enumerate(self.edges)]
        return torch.cat([*(bar[:, None] for bar in bars), (codes - 1).clamp(min=0)], dim=1)

    def values(self, feature: int, bar: Tensor, place: Tensor) -> Tensor:
        """Encoded values [N] of a numeric feature at `place` [N] in [0, 1) within bars [N].

        A uniform `place` gives a draw from the bar: its points are quantiles, and this interpolates between them.
        """
        points = self.points[feature, bar]  # [N, P]
        position = place * (N_POINTS - 1)
        low = position.floor().long().clamp(max=N_POINTS - 2)
        ends = points.gather(1, torch.stack([low, low + 1], dim=1))  # [N, 2]
        return torch.lerp(ends[:, 0], ends[:, 1], (position - low).to(ends.dtype))

    def places(self, feature: int, bar: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Position of encoded values [N] within their bars: the smallest and the largest share of the bar up to them.

        The inverse of `values`. The two shares, [N] each, differ if several points of the bar equal the value.
        """
        points = self.points[feature, bar].contiguous()  # [N, P]
        ends = []
        # Once with the first point that is not below the value, once with the first point above it.
        for right in (False, True):
            after = torch.searchsorted(points, value[:, None].contiguous(), right=right)[:, 0].clamp(1, N_POINTS - 1)
            low, high = (points.gather(1, (after + shift)[:, None])[:, 0] for shift in (-1, 0))
            within = ((value - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
            ends.append((after - 1 + within) / (N_POINTS - 1))
        return ends[0], ends[1]
