"""Tests of paired differences that keep their stated error: few rows, rare large losses, rows of one customer.

Three cases, because no one test covers them:

- Right and wrong answers on independent rows: exact tests on the rows on which the models disagree. McNemar's for
  "any difference", an unconditional one (Berger and Boos, 1994) for "a loss of at most a margin".
- Other values, and rows in clusters: Student's t over independent units, after some units with the worst difference
  that has to be reckoned with have been added. For a difference of -1 or 0 this is the score interval of a rate, whose
  upper end is not 0 where no loss was seen; for skewed losses it corrects what the mean of a sample tends to miss.
- Unbounded losses on few units: no test holds, as a rare large loss may not have been seen at all. `fewest_units` says
  how many units it takes.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr, betaincinv, gammaln

from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.bootstrap import Interval
from varjepa.evaluation.distributions import binomial_above, student_above, student_exceeded
from varjepa.evaluation.sign_flips import p_signs

RARE = 0.01
"""Losses that occur in at least this share of the units must be seen; unbounded losses that are rarer may be missed."""

NUISANCE_RISK = 1e-4
"""Error that is spent on bounding the share of rows on which the models disagree."""

NUISANCE_STEPS = 48
"""Values of that share that are tried."""

BISECTIONS = 40
"""Halvings of the range of an interval's end."""


class Pairs(NamedTuple):
    """Paired differences of two models, of each row.

    Attributes:
        differences: [N], positive where the challenger is better.
        clusters: int64 [N], rows that share a number depend on each other; None for independent rows.
        bound: the largest difference that a row can have; None where there is no bound.
        reach: the largest difference that was seen in any row, for pairs that are only some of the rows.
        of_units: independent units of all rows, for pairs that are only some of them.
    """

    differences: Floats
    clusters: Ints | None = None
    bound: float | None = None
    reach: float = 0.0
    of_units: int = 0

    def of(self, rows: Bools) -> "Pairs":
        """Those of some rows, which have to reckon with the differences of all rows."""
        reach = float(np.abs(self.differences).max(initial=self.reach))
        clusters = None if self.clusters is None else self.clusters[rows]
        return Pairs(self.differences[rows], clusters, self.bound, reach, self.total)

    def reversed(self) -> "Pairs":
        """The same, with the models' roles exchanged."""
        return self._replace(differences=-self.differences)

    @property
    def mean(self) -> float:
        """Mean over rows."""
        return float(self.differences.mean())

    @property
    def total(self) -> int:
        """Independent units of all rows."""
        return max(self.of_units, len(self.sizes))

    @property
    def sizes(self) -> Ints:
        """Rows of each independent unit [G]: of each cluster, or 1 for each row."""
        if self.clusters is None:
            return np.ones(len(self.differences), dtype=np.int64)
        return np.unique(self.clusters, return_counts=True)[1]

    @property
    def answers(self) -> bool:
        """Whether rows differ by -1, 0 or 1, as right and wrong answers do."""
        return bool(np.isin(self.differences, (-1.0, 0.0, 1.0)).all())

    @property
    def exact(self) -> bool:
        """Whether the rows are answers and independent: exact tests of a margin apply."""
        return self.answers and (self.clusters is None or bool((self.sizes == 1).all()))

    @property
    def sums(self) -> Floats:
        """Sums over the rows of each independent unit [G]."""
        if self.clusters is None:
            return self.differences
        number = np.unique(self.clusters, return_inverse=True)[1]
        return np.bincount(number, weights=self.differences).astype(np.float64)

    @property
    def discordant(self) -> tuple[int, int]:
        """Units in which the challenger gains, and those in which it loses."""
        sums = self.sums
        return int((sums > 0).sum()), int((sums < 0).sum())

    def units(self) -> Floats:
        """One value per independent unit [G], whose mean is that of the rows and whose spread is that of a ratio."""
        if self.clusters is None:
            return self.differences
        sums, sizes = self.sums, self.sizes
        # A cluster's share in the error of the mean over rows: what its rows add to it, beyond their number's due.
        return self.mean + (sums - self.mean * sizes) * (len(sizes) / len(self.differences))

    def worst(self, alpha: float) -> float:
        """How far below the mean a unit may lie that has not been seen, in the unit of `units`."""
        seen = float(np.abs(self.units() - self.mean).max(initial=0.0))
        if self.bound is None:
            return max(seen, self.reach)
        sizes = self.sizes
        # On few clusters one of which every row is lost may not have been seen; on many it is too rare to matter.
        lost = 1.0 if len(sizes) >= fewest_units(alpha) else float((sizes**2).sum() / sizes.sum())
        return max(seen, self.bound * lost * len(sizes) / len(self.differences))


def fewest_units(alpha: float) -> int:
    """Number of units in which a loss that occurs in a share `RARE` of them is missed with probability `alpha / 2`.

    The other half of the error is left to the test of what was seen.

    Examples:
        >>> fewest_units(0.025)
        437
    """
    return math.ceil(math.log(alpha / 2) / math.log1p(-RARE))


def enough(pairs: Pairs, alpha: float) -> bool:
    """Whether these differences can be judged at all: bounded ones always, others from `fewest_units` on."""
    return pairs.bound is not None or pairs.total >= fewest_units(alpha)


def shown_above(pairs: Pairs, value: float, alpha: float) -> bool:
    """Whether the mean difference is above `value` with error at most `alpha`.

    Args:
        pairs: at least one row.
        value: at most 0: minus a margin, or 0 for "better".
        alpha: one-sided error, in (0, 0.5).
    """
    if not enough(pairs, alpha):
        return False
    if pairs.exact and pairs.bound is not None:
        gains, losses = pairs.discordant
        p = p_margin(gains, losses, len(pairs.differences), -value) if value < 0 else p_coin(gains, losses)
        return p <= alpha
    return interval(pairs, 1 - 2 * alpha).low > value


def p_coin(gains: int, losses: int) -> float:
    """McNemar's exact test, one-sided: among rows on which the models disagree, a gain is as likely as a loss.

    Examples:
        >>> p_coin(3, 0)
        0.125
    """
    return binomial_above(gains - 1, gains + losses, 0.5)


def p_margin(gains: int, losses: int, rows: int, margin: float) -> float:
    """Exact p-value of a loss of at least `margin`, small where there is none (Berger and Boos, 1994).

    Let u be the share of rows on which the models disagree. Given u and a loss of `margin`, the number of disagreements
    is binomial, and so are the losses among them: the probability of a result at least as favourable is a sum. The
    largest one counts over all u that agree with the data but for a risk of `NUISANCE_RISK`, which is added.

    Args:
        gains: rows that only the challenger has right.
        losses: rows that only the champion has right.
        rows: all rows.
        margin: above 0.

    Examples:
        >>> p_margin(0, 0, 100, 0.01) > 0.3
        True
        >>> p_margin(0, 0, 400, 0.01) < 0.025
        True
    """
    found = gains + losses
    low = betaincinv(found, rows - found + 1, NUISANCE_RISK / 2) if found else 0.0
    high = betaincinv(found + 1, rows - found, 1 - NUISANCE_RISK / 2) if found < rows else 1.0
    if high < margin or margin >= 1:  # fewer rows disagree than a loss of the margin takes
        return NUISANCE_RISK
    reached = float(_score(np.array(gains), np.array(losses), rows, margin))
    shares = np.linspace(max(low, margin), high, NUISANCE_STEPS)[:, None]  # [S, 1]
    # Numbers of disagreements that matter under any of these shares: 7 standard deviations on either side.
    spread = 7 * math.sqrt(rows * high) + 7
    counts = np.arange(max(0, int(rows * shares[0, 0] - spread)), min(rows, int(rows * high + spread)) + 1)  # [M]
    most = _most_losses(counts, reached, rows, margin)
    chance = np.exp(_log_binomial(counts, rows, shares)) * np.where(
        most < 0, 0.0, bdtr(np.maximum(most, 0.0), counts, (1 + margin / shares) / 2)
    )  # [S, M]
    return min(1.0, float(chance.sum(1).max()) + NUISANCE_RISK)


def _most_losses(counts: Ints, reached: float, rows: int, margin: float) -> Ints:
    """The most losses among each number of disagreements [M] whose score still reaches a value; -1 for none."""
    low, high = np.full_like(counts, -1), counts.copy()
    while (low < high).any():  # the score falls while the losses rise
        middle = (low + high + 1) // 2
        favourable = _score(counts - middle, middle, rows, margin) >= reached - 1e-9
        low, high = np.where(favourable, middle, low), np.where(favourable, high, middle - 1)
    return low


def _score(gains: Ints, losses: Ints, rows: int, margin: float) -> Floats:
    """The score statistic of a loss of `margin` (Tango, 1998): larger where the challenger is better; any shape.

    It rises with the margin, and falls while losses take the place of gains.
    """
    # Maximum-likelihood probability of a gain where that of a loss is higher by the margin: root of a quadratic.
    half = margin * (2 * rows + gains - losses) - gains - losses
    gain = (np.sqrt(half**2 + 8 * rows * gains * margin * (1 - margin)) - half) / (4 * rows)
    variance = rows * (2 * gain + margin * (1 - margin))
    return (gains - losses + rows * margin) / np.sqrt(np.maximum(variance, 1e-12))  # 0 where models never differ


def _log_binomial(counts: Ints, rows: int, shares: Floats) -> Floats:
    """Log-probability of each count [M] under each share [S, 1]: [S, M]."""
    ways = gammaln(rows + 1) - gammaln(counts + 1) - gammaln(rows - counts + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        missed = np.where(counts == rows, 0.0, (rows - counts) * np.log1p(-np.minimum(shares, 1.0)))
        return ways + counts * np.log(shares) + missed


def interval(pairs: Pairs, level: float) -> Interval:
    """Where the mean difference may lie; without clusters and with answers right or wrong, a score interval."""
    alpha = (1 - level) / 2
    if pairs.exact and pairs.bound is not None:
        gains, losses = pairs.discordant
        quantile = student_exceeded(alpha, np.inf)
        rows = len(pairs.differences)
        return Interval(_score_low(gains, losses, rows, quantile), -_score_low(losses, gains, rows, quantile))
    return Interval(_guarded(pairs, alpha), -_guarded(pairs.reversed(), alpha))


def _score_low(gains: int, losses: int, rows: int, quantile: float) -> float:
    """Lower end of the score interval of gains minus losses per row (Tango, 1998)."""
    least, most = -1.0, 1.0  # of the loss that is ruled out
    for _ in range(BISECTIONS):
        middle = (least + most) / 2
        above = float(_score(np.array(gains), np.array(losses), rows, middle)) >= quantile
        least, most = (least, middle) if above else (middle, most)
    return -most


def _guarded(pairs: Pairs, alpha: float) -> float:
    """Lower end of Student's interval over units, with `quantile**2 / 2` units of the worst difference added."""
    units, worst = pairs.units(), pairs.mean - pairs.worst(alpha)
    if len(units) < 2:  # of one unit nothing can be said
        return min(worst, worst - pairs.mean)
    quantile = student_exceeded(alpha, len(units) - 1)
    added = quantile**2 / 2
    total = len(units) + added
    mean = (units.sum() + added * worst) / total
    variance = (((units - mean) ** 2).sum() + added * (worst - mean) ** 2) / (total - 1)
    return float(mean - quantile * math.sqrt(variance / total))


def rows_needed(pairs: Pairs, slack: float, alpha: float) -> int:
    """About how many rows would put the end of the interval `slack` below the mean, if they were like these.

    Args:
        pairs: at least one row.
        slack: above 0.
        alpha: one-sided error.
    """
    units, square = pairs.units(), student_exceeded(alpha, np.inf) ** 2
    # The end of `_guarded` as an equation in the number of units, which is quadratic.
    added, noise = slack * square * pairs.worst(alpha), square * float(units.var())
    count = (added + noise + math.hypot(added + noise, added)) / (2 * slack**2)
    if pairs.bound is None:
        count = max(count, fewest_units(alpha))
    return math.ceil(count * len(pairs.differences) / len(units))


def p_worse(pairs: Pairs | Floats) -> float:
    """One-sided p-value of paired differences being below 0 on average.

    For right and wrong answers exact, whatever their number, if the models are interchangeable: each of the units could
    as well have the opposite sign (McNemar's test, where units are rows). Otherwise Student's t over units, corrected
    for the skewness of their values (Hall, 1992).

    Examples:
        >>> p_worse(np.array([-1.0, -1.0, -1.0, 0.0]))
        0.125
    """
    pairs = pairs if isinstance(pairs, Pairs) else Pairs(pairs)
    if pairs.answers:
        return p_signs(pairs.sums)
    units = -pairs.units()
    if np.ptp(units) == 0:
        return 0.5 ** len(units) if units[0] > 0 else 1.0
    rows, spread = len(units), units.std(ddof=1)
    statistic = units.mean() / spread * math.sqrt(rows)
    skew = (((units - units.mean()) / spread) ** 3).mean() / math.sqrt(rows)
    corrected = statistic + skew * statistic**2 / 3 + skew**2 * statistic**3 / 27 + skew / 6
    return student_above(corrected, rows - 1)
