"""Error rates of the gate on simulated pairs of models, where the truth is known.

Used by `benchmarks.gate`. Each condition is repeated with new rows; its share has a 95% interval (Clopper and Pearson).
Pairs are interchangeable, or the challenger is worse by a known amount:

- answers: right and wrong ones. The models disagree in a tenth of the rows; in clusters, half of the rows share the
  fate of their cluster.
- classifiers: answers with confidences and decisions to abstain, in two classes (balanced, or 1 row in 200) and four
  subgroups, for the vetoes.
- losses without a bound: rare large ones (in 1.86% of the rows), log-normal and normal ones.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import beta

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.paired_tests import Pairs, shown_above
from varjepa.evaluation.gate.verdict import Verdict, judge
from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap

SIZES = (10, 20, 50, 100, 500, 5000)
CLUSTERS = (1, 5, 20)
TRIALS, FEW_TRIALS = 1000, 400
MARGIN, RISK = 0.01, 0.025
STATED = "at most 2.5%"
DISAGREE, TOGETHER, RARE = 0.1, 0.5, 0.0186


@dataclass(frozen=True)
class Rate:
    """How often something happened.

    Attributes:
        what: happened.
        condition: under which.
        rows: test rows.
        trials: repetitions.
        share: of the trials.
        low: end of the 95% interval of the share.
        high: other end.
        stated: what is promised, in words; empty for none.
        before: share with a percentile bootstrap on the same draws; None where that was not what decided.
    """

    what: str
    condition: str
    rows: int
    trials: int
    share: float
    low: float
    high: float
    stated: str = ""
    before: float | None = None


def rate(
    what: str, condition: str, rows: int, happened: list[bool], *, stated: str = "", before: list[bool] | None = None
) -> Rate:
    """The share of trials in which something happened."""
    count, trials = sum(happened), len(happened)
    low = float(beta.ppf(0.025, count, trials - count + 1)) if count else 0.0
    high = float(beta.ppf(0.975, count + 1, trials - count)) if count < trials else 1.0
    earlier = None if before is None else round(float(np.mean(before)), 4)
    return Rate(what, condition, rows, trials, round(count / trials, 4), round(low, 4), round(high, 4), stated, earlier)


def clusters_of(rows: int, size: int) -> Ints | None:
    """Cluster of each row, `size` rows each; None for independent rows."""
    return None if size == 1 else np.arange(rows) // size


def together(rng: np.random.Generator, rows: int, size: int) -> Floats:
    """Uniform numbers [rows]; in clusters, half of the rows share that of their cluster."""
    own = rng.random(rows)
    if size == 1:
        return own
    shared = rng.random(-(-rows // size))[np.arange(rows) // size]
    return np.where(rng.random(rows) < TOGETHER, shared, own)


def answers(rng: np.random.Generator, rows: int, size: int, loss: float) -> Pairs:
    """Differences of right and wrong answers of a challenger that is worse by `loss`."""
    drawn = together(rng, rows, size)
    lost, gained = (DISAGREE + loss) / 2, (DISAGREE - loss) / 2
    differences = np.where(drawn < lost, -1.0, np.where(drawn < lost + gained, 1.0, 0.0))
    return Pairs(differences, clusters_of(rows, size), 1.0)


RARE_LOSSES = "rare large losses"
LOSSES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    RARE_LOSSES: lambda rng, rows: np.where(rng.random(rows) < RARE, -1.0, RARE / (1 - RARE)),
    "log-normal losses, sigma 1": lambda rng, rows: np.exp(0.5) - rng.lognormal(0, 1, rows),
    "log-normal losses, sigma 1.5": lambda rng, rows: np.exp(1.125) - rng.lognormal(0, 1.5, rows),
    "normal differences": lambda rng, rows: rng.normal(size=rows),
}
"""Differences [rows] of two models with equal mean loss."""


def bootstrapped(pairs: Pairs, value: float) -> bool:
    """Whether a percentile bootstrap over rows puts the mean difference above a value."""
    first, none = pairs.differences[None], np.zeros((1, len(pairs.differences)))
    return paired_bootstrap(first, none, resamples=1000).low > value


def comparisons(rng: np.random.Generator) -> Iterator[Rate]:
    """The comparison of means, at the margin and between equal models."""
    for size in CLUSTERS:
        for rows in SIZES:
            for loss in (0.02, MARGIN):
                drawn = [answers(rng, rows, size, loss) for _ in range(TRIALS)]
                yield rate(
                    "not worse", f"accuracy lower by {loss}, margin {MARGIN}, clusters of {size}", rows,
                    [shown_above(pairs, -MARGIN, RISK) for pairs in drawn],
                    stated=STATED, before=[bootstrapped(pairs, -MARGIN) for pairs in drawn],
                )  # fmt: skip
    for name, draw in LOSSES.items():
        for rows in (30, *SIZES[3:], 1000):
            drawn = [Pairs(draw(rng, rows)) for _ in range(TRIALS)]
            yield rate(
                "better", f"{name}, equal means", rows, [shown_above(pairs, 0.0, RISK) for pairs in drawn],
                stated=STATED,
                # Resampling values that are all different takes minutes.
                before=[bootstrapped(pairs, 0.0) for pairs in drawn] if name == RARE_LOSSES else None,
            )  # fmt: skip
            at_margin = [pairs._replace(differences=pairs.differences - 0.5) for pairs in drawn]
            yield rate(
                "not worse", f"{name}, worse by the margin", rows,
                [shown_above(pairs, -0.5, RISK) for pairs in at_margin], stated=STATED,
            )  # fmt: skip


def classifiers(rng: np.random.Generator, rows: int, size: int) -> tuple[Evidence, Evidence]:
    """Two interchangeable classifiers on the same rows, which share two thirds of their luck."""
    ease = beta.ppf(together(rng, rows, size), 6, 1)
    luck, alike = together(rng, rows, size), rng.random(rows) < 2 / 3
    found = []
    for _ in range(2):
        chance = np.clip(ease + 0.05 * (together(rng, rows, size) - 0.5), 0, 1)
        correct = np.where(alike, luck, together(rng, rows, size)) < ease
        found.append(Evidence(
            correct.astype(float), chance, correct, 1 - chance, chance > 0.8, active_units=9, dimensions=9, rankme=9.0,
            clusters=clusters_of(rows, size),
        ))  # fmt: skip
    return found[0], found[1]


def judged(rng: np.random.Generator, rows: int, size: int, rare: float) -> Verdict:
    """The verdict on two interchangeable classifiers, a share `rare` of whose rows is of the rarer class."""
    klass, region = rng.random(rows) < rare, rng.integers(4, size=rows)
    groups = {"y yes": klass, "y no": ~klass} | {f"region {number}": region == number for number in range(4)}
    challenger, champion = classifiers(rng, rows, size)
    return judge(challenger, champion, metric="accuracy", groups=groups, section=GateSection(latency_ratio=None),
                 classes=klass.astype(np.int64))  # fmt: skip


def verdicts(rng: np.random.Generator) -> Iterator[Rate]:
    """False alarms between interchangeable classifiers, by everything that the gate looks at."""
    for rare, balance in ((0.5, "balanced"), (1 / 200, "1:200")):
        for size in CLUSTERS:
            for rows in SIZES:
                drawn = [judged(rng, rows, size, rare) for _ in range(FEW_TRIALS)]
                condition = f"equal models, {balance}, clusters of {size}"
                for outcome in ("better", "worse"):
                    yield rate(outcome, condition, rows, [one.outcome == outcome for one in drawn], stated=STATED)
                for name in ("subgroup", "calibration", "coverage"):
                    fired = [any(veto.name == name for veto in one.vetoes) for one in drawn]
                    yield rate(f"refused by {name}", condition, rows, fired, stated=STATED)
                yield rate("promoted", condition, rows, [one.promote for one in drawn])


def rare_class(rng: np.random.Generator) -> Iterator[Rate]:
    """A class with few of 2,000 rows, of which a challenger of equal accuracy elsewhere loses nearly all."""
    for classes, each in ((1, 10), (4, 4)):
        refused = []
        for _ in range(FEW_TRIALS):
            klass = np.minimum(np.arange(2000) // each, classes)  # the last class has all other rows
            small, right = klass < classes, rng.random(2000)
            goodness = [np.where(small, right < recall, right < 0.9).astype(float) for recall in (0.0, 0.8)]
            models = [Evidence(values, active_units=9, dimensions=9, rankme=9.0) for values in goodness]
            groups = {f"y {number}": klass == number for number in range(classes + 1)}
            refused.append(not judge(*models, metric="accuracy", groups=groups, section=GateSection(),
                                     classes=klass.astype(np.int64)).promote)  # fmt: skip
        yield rate("refused", f"recall 0 instead of 0.8 in {classes} classes of {each} rows", 2000, refused)


def simulated() -> list[dict[str, object]]:
    """All rates, as plain data."""
    rates = [*comparisons(np.random.default_rng(1)), *verdicts(np.random.default_rng(2)),
             *rare_class(np.random.default_rng(3))]  # fmt: skip
    return [asdict(one) for one in rates]
