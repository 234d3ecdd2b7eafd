"""Whether two samples come from one distribution: tests on counts, valid whatever the ties and however rare a cell is.

All p-values take both samples for random: a small reference makes them large, not wrong. Rows in clusters count for
fewer, independent ones.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import erfc, kolmogorov
from scipy.stats import chi2_contingency, hypergeom

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.drift.samples import Categories, Numbers

FEWEST_EXPECTED = 10.0
"""Categories of which fewer rows are expected in either sample are counted together: the chi-squared distribution
fits their tail badly, and with many tests it is the tail that decides."""

PSI_SHARE = 0.05
"""Share of the reference that a cell of the population stability index holds at least."""


class Comparison(NamedTuple):
    """What a test found.

    Attributes:
        method: name of the test.
        statistic: its statistic.
        p: p-value, two-sided.
        effect: share of the rows that would have to be others to undo the change; in [0, 1].
        shift: difference of the means in standard deviations of the reference; None for categories.
        psi: population stability index; None for shares.
    """

    method: str
    statistic: float
    p: float
    effect: float
    shift: float | None = None
    psi: float | None = None


def compare_numbers(reference: Numbers, new: Numbers) -> Comparison:
    """Kolmogorov-Smirnov for any change, Mann-Whitney for a shift; the smaller p-value, doubled.

    Ties make the first cautious; the second is corrected for them. The statistic is that of Kolmogorov-Smirnov, and so
    is the effect: at least so many rows would have to be others.
    """
    counts = np.array([reference.counts, new.counts], dtype=np.float64)  # [2, 2 K + 1]
    independent = np.array([[reference.independent], [new.independent]])  # [2, 1]
    rows = (independent * counts).sum(1)  # [2], as many independent ones as the rows stand for
    if not rows.all():
        return Comparison("KS, Mann-Whitney", 0.0, 1.0, 0.0, None, None)
    shares = counts / counts.sum(1, keepdims=True)
    distance = float(np.abs(np.cumsum(shares[0] - shares[1])).max())
    # Not `scipy.stats.ks_2samp` and `mannwhitneyu`: they need the values, of which there are only counts.
    p_any = float(kolmogorov(distance * (rows.prod() / rows.sum()) ** 0.5))
    p_shift = float(erfc(abs(_mann_whitney(independent * counts)) / 2**0.5))
    step, deviation = new.mean - reference.mean, reference.deviation
    shift = step / deviation if deviation > 0 else (0.0 if step == 0 else float(np.copysign(np.inf, step)))
    p = min(1.0, 2 * min(p_any, p_shift))
    return Comparison("KS, Mann-Whitney", distance, p, distance, shift, _psi(_coarse(counts)))


def _mann_whitney(counts: Floats) -> float:
    """Standardised rank sum of the second row of counts [2, cells], equal values sharing their middle rank."""
    tied, (first, second) = counts.sum(0), counts.sum(1)  # [cells], rows of each sample
    total = first + second
    ranks = np.cumsum(tied) - (tied - 1) / 2  # [cells], from 1
    variance = first * second / 12 * (total + 1 - (tied**3 - tied).sum() / (total * max(total - 1, 1)))
    return float((counts[1] @ ranks - second * (total + 1) / 2) / variance**0.5) if variance > 0 else 0.0


def compare_categories(reference: Categories, new: Categories) -> Comparison:
    """Pearson's chi-squared test, rare categories counted together; the effect is the total variation distance."""
    counts = np.array([reference.cells, new.cells], dtype=np.float64)  # [2, cells]
    counts = counts[:, counts.sum(0) > 0]  # a category of no row would divide 0 by 0
    rows = counts.sum(1)
    if not rows.all():
        return Comparison("chi-squared", 0.0, 1.0, 0.0, None, None)
    effect = float(np.abs(np.subtract(*(counts / rows[:, None]))).sum() / 2)
    independent = counts * [[reference.independent], [new.independent]]
    test = chi2_contingency(_pooled(independent), correction=False)  # a single cell has no degree of freedom: p is 1
    return Comparison("chi-squared", float(test.statistic), float(test.pvalue), effect, None, _psi(counts))


def _pooled(counts: Floats) -> Floats:
    """Counts [2, cells] with rare cells together; where they stay rare, the smallest of the others joins them."""
    order = np.argsort(counts.sum(0), kind="stable")  # [cells], rarest first
    # Rows of both samples that a cell needs for `FEWEST_EXPECTED` of them to be expected in the smaller one.
    enough = FEWEST_EXPECTED * counts.sum() / counts.sum(1).min()
    total = np.cumsum(counts.sum(0)[order])
    rare = int((counts.sum(0) < enough).sum())
    if rare:  # as many of the rarest cells as it takes to have enough together
        rare = max(rare, int(np.searchsorted(total, enough)) + 1)
    kept = counts[:, order[rare:]]
    return np.column_stack([kept, counts[:, order[:rare]].sum(1)]) if rare else kept


def compare_shares(
    reference: tuple[int, int], new: tuple[int, int], independent: tuple[float, float] = (1.0, 1.0)
) -> Comparison:
    """Fisher's exact test of two shares, each (rows that have it, all rows); twice the smaller tail.

    Args:
        reference: how it was.
        new: how it is.
        independent: share of the rows that count as independent, of each.

    Examples:
        >>> compare_shares((0, 100), (10, 100)).p < 0.01
        True
    """
    if not reference[1] or not new[1]:
        return Comparison("Fisher", 0.0, 1.0, 0.0)
    step = new[0] / new[1] - reference[0] / reference[1]
    (first, rows), (second, new_rows) = (
        (round(count * share), max(1, round(total * share)))
        for (count, total), share in zip((reference, new), independent, strict=True)
    )
    # Given both totals, the rows that have it in the new sample are drawn without replacement. Twice the smaller tail:
    # `scipy.stats.fisher_exact` adds up all tables that are no likelier, which is something else.
    law = hypergeom(rows + new_rows, first + second, new_rows)
    p = min(1.0, 2 * min(float(law.cdf(second)), float(law.sf(second - 1))))
    return Comparison("Fisher", step, p, abs(step))


def _coarse(counts: Floats) -> Floats:
    """Neighbouring cells joined until each holds its share of the reference, the first row of [2, cells]."""
    wanted = PSI_SHARE * counts[0].sum()
    bins = np.floor((np.cumsum(counts[0]) - counts[0]) / wanted).astype(int)  # [cells], by the share before each
    return np.stack([np.bincount(bins, row) for row in counts])


def _psi(counts: Floats) -> float:
    """Population stability index of counts [2, cells]; half a row is added everywhere, for logarithms."""
    shares = (counts + 0.5) / (counts + 0.5).sum(1, keepdims=True)
    return float((shares[1] - shares[0]) @ np.log(shares[1] / shares[0]))
