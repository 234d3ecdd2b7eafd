"""The promotion gate: whether a challenger may take the champion's place, judged on the same rows, in pairs.

Plain arrays in, a verdict in words and numbers out. The rule: not worse than the champion in one metric, shown by a
bootstrap interval, and no veto. A veto needs a difference that is both larger than its limit and beyond chance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.gate.evidence import UNITS, Evidence, Metric, Unit
from varjepa.evaluation.gate.vetoes import Veto, calibration, coverage, groups_worse, model_vetoes, structure
from varjepa.evaluation.uncertainty.paired_bootstrap import paired_bootstrap

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
        reference: challenger and champion on the champion's own test rows, where those are others.
        notes: of the caller, for the reason.
    """
    # What the models are, then what they do on the test rows; the champion's own rows are another test.
    vetoes = list(model_vetoes(challenger, champion, section))
    if champion is None:
        return Verdict("first", "there is no champion yet", tuple(vetoes), notes)
    numbers = _measured("", challenger) | _measured("champion_", champion)
    others = [
        *structure("structure", "all rows", challenger, champion, section),
        *calibration(challenger, champion, section),
        *coverage(challenger, champion, groups, section),
    ]
    unit = None if metric is None else UNITS[metric]
    if reference is not None:
        vetoes += _on_own_rows(*reference, unit, section)
    if unit is None or challenger.goodness is None or champion.goodness is None or not len(challenger.goodness):
        words = "there is nothing to compare the two models by"
        return Verdict("not compared", words, (*vetoes, *others), notes, numbers)
    pairs = {name: (challenger.goodness[rows], champion.goodness[rows]) for name, rows in groups.items()}
    vetoes += groups_worse("subgroup", pairs, unit, section)
    outcome, words, more = _compare(challenger.goodness, champion.goodness, unit, section)
    notes = (*notes, *_unjudged(groups, section))
    return Verdict(outcome, words, (*vetoes, *others), notes, numbers | more)


def _on_own_rows(challenger: Evidence, champion: Evidence, unit: Unit | None, section: GateSection) -> Iterator[Veto]:
    """Whether the challenger is worse on the test rows that the champion was once judged on."""
    rows = "the champion's own test rows"
    if unit is not None and challenger.goodness is not None and champion.goodness is not None:
        yield from groups_worse("reference", {rows: (challenger.goodness, champion.goodness)}, unit, section)
    yield from structure("reference", rows, challenger, champion, section)


def _compare(
    challenger: Floats, champion: Floats, unit: Unit, section: GateSection
) -> tuple[Outcome, str, dict[str, float]]:
    """The outcome, words for it, and its numbers."""
    gain = paired_bootstrap(challenger[None], champion[None], higher_is_better=True, level=section.level)
    margin, rows = unit.tolerance(section, champion), len(challenger)
    means = unit.sign * float(challenger.mean()), unit.sign * float(champion.mean())
    words = (
        f"{unit.word} {means[0]:.4f} against {means[1]:.4f} on {rows:,} test rows, a gain of {gain.difference:+.4f} "
        f"({gain.low:+.4f} to {gain.high:+.4f} with {section.level:.0%})"
    )
    # Goodness is always higher = better; words and numbers give the metric itself, its sign put back.
    names = ("difference", "low", "high", "margin", "metric", "champion_metric", "rows")
    values = (gain.difference, gain.low, gain.high, margin, *means, rows)
    numbers = dict(zip(names, map(float, values), strict=True))
    if gain.low > 0:
        return "better", f"better: {words}", numbers
    # Two models that never differ have an interval without a width at 0, which a margin of 0 must let pass.
    if gain.low > -margin or (gain.low == gain.high == 0):
        return "not worse", f"not worse by more than {margin:.4g}: {words}", numbers
    if gain.high < 0:
        return "worse", f"worse: {words}", numbers
    # Half the interval's width shrinks with the root of the rows; with enough of them it would fit into the margin.
    needed = rows * ((gain.high - gain.low) / 2 / margin) ** 2 if margin else 0.0
    enough = f" (about {rounded(needed):,} would do)" if needed > rows else ""
    return "undecided", f"undecided, too few rows to rule out a loss of {margin:.4g}{enough}: {words}", numbers


def rounded(value: float) -> int:
    """Two digits are enough for an estimate.

    Examples:
        >>> rounded(12345.0)
        12000
    """
    return int(float(f"{value:.1e}"))


def _unjudged(groups: Mapping[str, Bools], section: GateSection) -> Iterator[str]:
    few = [name for name, rows in groups.items() if rows.sum() < section.min_rows]
    if few:
        shown = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        yield f"not judged, with fewer than {section.min_rows} test rows: {shown}"


def _measured(prefix: str, model: Evidence) -> dict[str, float]:
    values = {"active_units": model.active_units, "rankme": model.rankme, "milliseconds": model.milliseconds}
    return {f"{prefix}{name}": float(value) for name, value in values.items()}
