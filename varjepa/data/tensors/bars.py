"""Numeric features as bars: intervals of their encoded values that hold about equally many training rows.

A softmax over bars is a distribution of any shape: a value that half of all rows share gets a bar of its own, tails and
gaps cost nothing. Between the points of a bar the distribution is taken to be even.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.base import Section
from varjepa.data.tensors.table import TableTensors

N_POINTS = 17
"""Points kept per bar: its smallest and largest value, and quantiles between them."""

CUT_ROWS = 200_000
"""Bars are cut by at most this many training rows."""


class Bars(Section):
    """Bars of one numeric feature, in encoded units.

    Attributes:
        edges: K - 1 rising numbers; bar k holds `edges[k - 1] <= value < edges[k]`.
        points: per bar, `N_POINTS` values at evenly spread ranks, not falling.
    """

    edges: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]


def cut(values: NDArray[np.float32], n_bars: int) -> Bars:
    """Cuts the observed values of a feature into at most about `n_bars` bars.

    Args:
        values: [N], at least one; encoded, without missing ones.
        n_bars: where there are fewer different values, each has its own bar; so has every value that more than one
            in `n_bars` rows share.

    Examples:
        >>> cut(np.array([0, 0, 0, 1, 2], dtype=np.float32), 8).edges
        (0.5, 1.5)
    """
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    if len(distinct) <= n_bars:
        starts = np.arange(len(distinct))
    else:
        middle = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        number = np.floor(middle * n_bars)
        common = counts * n_bars > counts.sum()
        new = (np.diff(number) > 0) | common[1:] | common[:-1]
        starts = np.r_[0, np.flatnonzero(new) + 1]
    edges = 0.5 * (distinct[starts[1:] - 1] + distinct[starts[1:]])
    groups = zip(np.split(distinct, starts[1:]), np.split(counts, starts[1:]), strict=True)
    return Bars(edges=tuple(edges.tolist()), points=tuple(tuple(_points(members, c).tolist()) for members, c in groups))


def _points(members: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values of one bar at evenly spread ranks."""
    ranks = np.round(np.linspace(0, counts.sum() - 1, N_POINTS)).astype(np.int64)
    return members[np.searchsorted(np.cumsum(counts), ranks, side="right")]


class Cells:
    """What a generator can say about cells: a class per bar of a numeric feature, or per code of a categorical one.

    Class c of a categorical feature is code c + 1: the code of a missing cell (0) is never said.

    Args:
        bars: of the numeric features, in their order.
        cardinalities: codes per categorical feature, the reserved ones included.

    Attributes:
        sizes: classes per feature, numeric first.
        points: float32 [n_numeric, K, N_POINTS], padded with zeros.
    """

    def __init__(self, bars: Sequence[Bars], cardinalities: Sequence[int]) -> None:
        self.edges = [torch.tensor(one.edges, dtype=torch.float32) for one in bars]
        self.sizes = [len(one.points) for one in bars] + [size - 1 for size in cardinalities]
        self.points = torch.zeros(len(bars), max((len(one.points) for one in bars), default=0), N_POINTS)
        for number, one in enumerate(bars):
            self.points[number, : len(one.points)] = torch.tensor(one.points, dtype=torch.float32)

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
        """Class of every cell, int64 [N, D]; meaningless where it is missing."""
        numeric, codes = table.blanked()
        bars = [torch.bucketize(numeric[:, j].contiguous(), edges, right=True) for j, edges in enumerate(self.edges)]
        return torch.cat([*(bar[:, None] for bar in bars), (codes - 1).clamp(min=0)], dim=1)

    def values(self, feature: int, bar: Tensor, place: Tensor) -> Tensor:
        """Encoded values [N] of a numeric feature at `place` in [0, 1) within bars [N]."""
        points = self.points[feature, bar]  # [N, P]
        position = place * (N_POINTS - 1)
        low = position.floor().long().clamp(max=N_POINTS - 2)
        ends = points.gather(1, torch.stack([low, low + 1], dim=1))  # [N, 2]
        return torch.lerp(ends[:, 0], ends[:, 1], (position - low).to(ends.dtype))

    def places(self, feature: int, bar: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Where encoded values [N] lie within their bars: the smallest and the largest share of the bar up to them.

        The two differ where several points of the bar are equal to the value.
        """
        points = self.points[feature, bar].contiguous()  # [N, P]
        ends = []
        for right in (False, True):
            after = torch.searchsorted(points, value[:, None].contiguous(), right=right)[:, 0].clamp(1, N_POINTS - 1)
            low, high = (points.gather(1, (after + shift)[:, None])[:, 0] for shift in (-1, 0))
            within = ((value - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
            ends.append((after - 1 + within) / (N_POINTS - 1))
        return ends[0], ends[1]
