"""The veto on calibration: whether a challenger's probabilities are further from its accuracy than the champion's."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.veto import Veto
from varjepa.evaluation.uncertainty.calibration import N_BINS, confidence_bins

RESAMPLES, SWAPS = 500, 1000
DRAWN_AT_ONCE = 2_000_000
"""Numbers drawn at a time, 16 MB."""


class _Gaps(NamedTuple):
    """Confidence minus correctness, summed within units and bins, of both models: [G, bins] each.

    The calibration error of some units is the sum over bins of the absolute sum of their gaps, divided by their rows.
    """

    new: Floats
    old: Floats
    rows: Ints

    def difference(self) -> float:
        """The challenger's expected calibration error minus the champion's."""
        return float((_error(self.new.sum(0)) - _error(self.old.sum(0))) / self.rows.sum())

    def resampled(self, rng: np.random.Generator, size: int) -> Floats:
        """That difference in resamples of units [size]."""
        units = len(self.rows)
        counts = rng.multinomial(units, np.full(units, 1 / units), size=size)  # [S, G]
        return (_error(counts @ self.new) - _error(counts @ self.old)) / (counts @ self.rows)

    def swapped(self, rng: np.random.Generator, size: int) -> Floats:
        """That difference where the models exchange their answers in a random half of the units [size]."""
        new = self.old.sum(0) + rng.integers(2, size=(size, len(self.rows))) @ (self.new - self.old)  # [S, bins]
        return (_error(new) - _error(self.new.sum(0) + self.old.sum(0) - new)) / self.rows.sum()


def _error(sums: Floats) -> Floats:
    """Calibration error times rows, from sums of gaps per bin [..., bins]."""
    return np.abs(sums).sum(-1)


def calibration(challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[Veto]:
    """Compares expected calibration errors; two tests of their difference must agree that it is above 0.

    Calibration errors are biased upwards, and unequally where models are not equally sure. So neither test holds for
    every pair: a paired bootstrap asks whether the difference stays above 0 on other rows, and a permutation test,
    which is exact for interchangeable models, whether exchanging the models' answers gives as large a difference.
    """
    gaps, margin = _gaps(challenger, champion), section.calibration_margin
    if margin is None or gaps is None or gaps.rows.sum() < section.min_rows or gaps.difference() <= margin:
        return
    alpha = section.risk
    resampled = _drawn(gaps.resampled, RESAMPLES, len(gaps.rows))
    swapped = _drawn(gaps.swapped, SWAPS, len(gaps.rows))
    # The difference itself is one of the equally likely exchanges.
    p_exchange = (1 + (swapped >= gaps.difference() - 1e-12).sum()) / (1 + SWAPS)
    if p_exchange <= alpha and np.quantile(resampled, alpha) > 0:
        ours, theirs = (float(_error(sums.sum(0)) / gaps.rows.sum()) for sums in (gaps.new, gaps.old))
        yield Veto(
            "calibration",
            f"the expected calibration error is {ours:.4f}, the champion's {theirs:.4f}, allowed are {margin:g} more",
        )


def _drawn(statistic: Callable[[np.random.Generator, int], Floats], draws: int, units: int) -> Floats:
    """Statistics of `draws` random draws over units, in portions that fit into memory."""
    rng, most = np.random.default_rng(0), max(1, DRAWN_AT_ONCE // units)
    ends = [*range(0, draws, most), draws]
    return np.concatenate([statistic(rng, end - start) for start, end in pairwise(ends)])


def _gaps(challenger: Evidence, champion: Evidence) -> _Gaps | None:
    """None for models without classes."""
    found: list[Floats] = []
    for model in (challenger, champion):
        if model.confidence is None or model.correct is None:
            return None
        rows = len(model.confidence)
        unit = (
            np.arange(rows) if challenger.clusters is None else np.unique(challenger.clusters, return_inverse=True)[1]
        )
        cell, size = unit * N_BINS + confidence_bins(model.confidence), (int(unit.max(initial=-1)) + 1) * N_BINS
        sums = np.bincount(cell, model.confidence - model.correct, size)
        found.append(sums.reshape(-1, N_BINS).astype(np.float64))
    return _Gaps(found[0], found[1], np.bincount(unit))
