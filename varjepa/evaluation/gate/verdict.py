"""The promotion gate: whether a challenger may take the champion's place, judged on the same rows, in pairs.

Plain arrays in, a verdict in words and numbers out. The rule: shown to be not worse than the champion in one metric, by
a test of paired differences, and no veto. A veto needs a difference that is both larger than its limit and beyond
chance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Bools, Ints
from varjepa.evaluation.gate.calibration_veto import calibration
from varjepa.evaluation.gate.evidence import UNITS, Compared, Evidence, Metric, Unit
from varjepa.evaluation.gate.interval_veto import interval_calibration
from varjepa.evaluation.gate.model_vetoes import model_vetoes
from varjepa.evaluation.gate.paired_tests import Pairs, enough, fewest_units, interval, rows_needed, shown_above
from varjepa.evaluation.gate.veto import Veto
from varjepa.evaluation.gate.vetoes import (
    class_weights,
    coverage,
    groups_worse,
    structure,
    unseen_losses,
    unseen_structure,
)

Outcome = Literal["first", "better", "not worse", "undecided", "worse", "not compared"]
PROMOTED = ("first", "better", "not worse")


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger.

    Attributes:
        outcome: of the comparison: first (there is no champion), better, not worse (by more than the margin),
            undecided (it might be worse by more than that), worse (it is), not compared.
        compared: the comparison in words.
        vetoes: that fire.
        notes: what a reader should know besides.
        numbers: by name, for the tracking run.
    """

    outcome: Outcome
    compared: str
    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def promote(self) -> bool:
        """Whether the challenger may become the champion."""
        return self.outcome in PROMOTED and not self.vetoes

    @property
    def reason(self) -> str:
        """Comparison, vetoes and notes in one line."""
        vetoes = [f"refused by {veto.name}: {veto.reason}" for veto in self.vetoes]
        return "; ".join([self.compared, *vetoes, *self.notes])


def judge(
    challenger: Evidence,
    champion: Evidence | None,
    *,
    metric: Metric | None,
    groups: Mapping[str, Bools],
    section: GateSection,
    classes: Ints | None = None,
    reference: tuple[Evidence, Evidence] | None = None,
    notes: tuple[str, ...] = (),
) -> Verdict:
    """Judges a challenger.

    Args:
        challenger: on the test rows.
        champion: on the same rows; None where there is none.
        metric: of `goodness`; None where nothing can be compared.
        groups: name -> which test rows belong to it.
        section: margins and limits.
        classes: [N], number of the true class of each test row, for the balanced accuracy; None without classes.
        reference: challenger and champion on the champion's own test rows, where those are others.
        notes: of the caller, for the reason.
    """
    # What the models are, then what they do on the test rows; the champion's own rows are another test.
    vetoes = list(model_vetoes(challenger, champion, section))
    if champion is None:
        return Verdict("first", "there was no champion", tuple(vetoes), notes)
    numbers = _measured("", challenger) | _measured("champion_", champion)
    others = [
        *structure("structure", "all rows", challenger, champion, section),
        *calibration(challenger, champion, section),
        *interval_calibration(challenger, champion, section),
        *coverage(challenger, champion, groups, section),
    ]
    unit = None if metric is None else UNITS[metric]
    if reference is not None:
        vetoes += _on_own_rows(*reference, unit, section)
    notes = (*notes, *unseen_structure(challenger, champion, section))
    whole = None if unit is None else _compared(challenger, champion, unit)
    if unit is None or whole is None:
        words = "there is nothing to compare the two models by"
        return Verdict("not compared", words, (*vetoes, *others), notes, numbers)
    weights = None if classes is None or metric != "accuracy" else class_weights(classes)
    vetoes += groups_worse("subgroup", groups, whole, unit, section, weights=weights)
    outcome, words, more = _compare(whole, unit, section)
    notes = (*notes, *unseen_losses(groups, whole, unit, section, weights=weights))
    return Verdict(outcome, words, (*vetoes, *others), notes, numbers | more)


def _on_own_rows(challenger: Evidence, champion: Evidence, unit: Unit | None, section: GateSection) -> Iterator[Veto]:
    """Whether the challenger is worse on the test rows that the champion was once judged on."""
    rows = "the champion's own test rows"
    whole = None if unit is None else _compared(challenger, champion, unit)
    if unit is not None and whole is not None:
        yield from groups_worse("reference", {rows: np.ones(len(whole.ours), dtype=bool)}, whole, unit, section)
    yield from structure("reference", rows, challenger, champion, section)


def _compared(challenger: Evidence, champion: Evidence, unit: Unit) -> Compared | None:
    """Goodness of both models; None where one has none, or there are no rows."""
    ours, theirs = challenger.goodness, champion.goodness
    return None if ours is None or theirs is None or not len(ours) else challenger.compared(ours, theirs, unit.bound)


def _compare(whole: Compared, unit: Unit, section: GateSection) -> tuple[Outcome, str, dict[str, float]]:
    """The outcome, words for it, and its numbers."""
    (pairs, ours, theirs), alpha = whole, section.risk
    gain, margin, rows = interval(pairs, section.level), unit.tolerance(section, theirs), len(ours)
    means = unit.sign * float(ours.mean()), unit.sign * float(theirs.mean())
    words = (
        f"{unit.word} {means[0]:z.4f} against {means[1]:z.4f} on {_rows(pairs)}, a gain of {pairs.mean:+z.4f} "
        f"({gain.low:+z.4f} to {gain.high:+z.4f} with {section.level:.0%})"
    )
    # Goodness is always higher = better; words and numbers give the metric itself, its sign put back.
    names = ("difference", "low", "high", "margin", "metric", "champion_metric", "rows")
    values = (pairs.mean, *gain, margin, *means, rows)
    numbers = dict(zip(names, map(float, values), strict=True))
    if shown_above(pairs, 0.0, alpha):
        return "better", f"better: {words}", numbers
    if (margin and shown_above(pairs, -margin, alpha)) or _agree(pairs, margin, alpha):
        return "not worse", f"not worse by more than {margin:.4g}: {words}", numbers
    if shown_above(pairs.reversed(), 0.0, alpha):
        return "worse", f"worse: {words}", numbers
    few = f"too few rows to rule out a loss of {margin:.4g}{_would_do(pairs, margin, alpha)}"
    if not enough(pairs, alpha):
        few += ", as a rare large loss may be among rows that were not seen"
    return "undecided", f"undecided, {few}: {words}", numbers


def _rows(pairs: Pairs) -> str:
    """Number of rows, and of clusters where those are fewer."""
    rows, clusters = len(pairs.differences), len(pairs.sizes)
    return f"{rows:,} test rows" + (f" in {clusters:,} clusters" if clusters < rows else "")


def _agree(pairs: Pairs, margin: float, alpha: float) -> bool:
    """Whether models never differ on as many rows as show that they rarely do: a margin of 0 lets that pass."""
    return not margin and not pairs.differences.any() and len(pairs.sizes) >= fewest_units(alpha)


def _would_do(pairs: Pairs, margin: float, alpha: float) -> str:
    """How many rows would decide, in words: if the models were equal, otherwise at the measured difference."""
    if not margin and not pairs.differences.any():
        return f" (about {fewest_units(alpha) * len(pairs.differences) // len(pairs.sizes):,} would do)"
    for slack in (margin, margin + pairs.mean):
        needed = rows_needed(pairs, slack, alpha) if slack > 0 else 0
        if needed > len(pairs.differences):
            return f" (about {rounded(needed):,} would do)"
    return ""


def rounded(value: float) -> int:
    """Two digits are enough for an estimate.

    Examples:
        >>> rounded(12345.0)
        12000
    """
    return int(float(f"{value:.1e}"))


def _measured(prefix: str, model: Evidence) -> dict[str, float]:
    values = {"active_units": model.active_units, "rankme": model.rankme, "milliseconds": model.milliseconds}
    return {f"{prefix}{name}": float(value) for name, value in values.items()}
