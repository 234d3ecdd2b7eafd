"""The vetoes of the promotion gate: each looks at one thing that an average does not show."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import binom, ttest_1samp

from varjepa.config.operations import GateSection
from varjepa.errors import listed
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.bootstrap import bootstrap_rows, percentile_interval
from varjepa.evaluation.gate.evidence import Evidence, Unit
from varjepa.evaluation.uncertainty.calibration import binned_calibration_error, confidence_bins

SURE_SHARE = 0.8
"""Accepted where there is no certificate: the surest rows, this share of all."""

SUREST = "share of the surest 80%"

SHOWN = 3
"""Groups that a veto names, the worst first."""

RESAMPLES = 500
STRICT_KINDS = ("numeric", "date")
"""Kinds that refuse what they cannot read."""


class Veto(NamedTuple):
    """Why a challenger is refused, whatever its average.

    Attributes:
        name: collapse, latency, contract, structure, calibration, coverage, subgroup or reference.
        reason: what was found, and what was allowed.
    """

    name: str
    reason: str


def model_vetoes(challenger: Evidence, champion: Evidence | None, section: GateSection) -> Iterator[Veto]:
    """Those that look at the models themselves; without a champion, only at what needs none."""
    yield from _collapse(challenger, champion, section)
    yield from _latency(challenger, champion, section)
    if champion is not None and section.same_inputs:
        broken = list(_broken_contract(challenger, champion))
        if broken:
            yield Veto("contract", "the challenger " + ", and ".join(broken))


def _collapse(challenger: Evidence, champion: Evidence | None, section: GateSection) -> Iterator[Veto]:
    reasons = []
    active, rank = challenger.active_units, challenger.rankme
    if section.min_active is not None and active < section.min_active * challenger.dimensions:
        reasons.append(f"{active} of {challenger.dimensions} dimensions vary, fewer than {section.min_active:.0%}")
    if section.min_rank is not None and rank < section.min_rank:
        reasons.append(f"RankMe {rank:.2f} is below {section.min_rank:g}")
    if champion is not None and section.collapse_share is not None and champion.dimensions == challenger.dimensions:
        pairs = {"active units": (active, champion.active_units), "RankMe": (rank, champion.rankme)}
        reasons += [
            f"{name} {ours:.4g} fell below {section.collapse_share:.0%} of the champion's {theirs:.4g}"
            for name, (ours, theirs) in pairs.items()
            if ours < section.collapse_share * theirs
        ]
    if reasons:
        yield Veto("collapse", "the embedding has collapsed: " + ", ".join(reasons))


def _latency(challenger: Evidence, champion: Evidence | None, section: GateSection) -> Iterator[Veto]:
    ours = challenger.milliseconds
    if section.latency_ms is not None and ours > section.latency_ms:
        yield Veto("latency", f"{ours:.3g} ms per row, allowed are {section.latency_ms:g}")
    if champion is not None and section.latency_ratio is not None:
        theirs = champion.milliseconds
        if ours > section.latency_ratio * theirs:
            yield Veto(
                "latency",
                f"{ours:.3g} ms per row is {ours / max(theirs, 1e-9):.1f} times the champion's {theirs:.3g}, "
                f"allowed is {section.latency_ratio:g} times",
            )


def _broken_contract(challenger: Evidence, champion: Evidence) -> Iterator[str]:
    """What those who call the champion would notice."""
    new = [name for name in challenger.inputs if name not in champion.inputs]
    if new:
        yield f"asks for {listed(new)}, which the champion does not need"
    for name, kind in challenger.inputs.items():
        before = champion.inputs.get(name, kind)
        if kind != before and kind in STRICT_KINDS:
            yield f'reads "{name}" as {kind}, the champion as {before}'
    if challenger.label != champion.label:
        yield f"predicts {challenger.label or 'nothing'}, the champion {champion.label or 'nothing'}"
    elif lost := [name for name in champion.classes if name not in challenger.classes]:
        yield f"never predicts {listed(lost)}"
    if lost := [name for name in champion.outputs if name not in challenger.outputs]:
        yield f"gives no {listed(lost)}"


def structure(name: str, rows: str, challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[Veto]:
    """Whether a cell says less of the others of its row: neither accuracy nor the ELBO need to notice."""
    margin, ours, theirs = section.structure_margin, challenger.structure, champion.structure
    if margin is not None and ours is not None and theirs is not None:
        unit = Unit("log density of a cell given the others", margin, 1)
        yield from _worse(name, {rows: (ours, theirs)}, unit, section, lambda _: margin)


class _Binned(NamedTuple):
    """The confidence of a classifier on N rows.

    Attributes:
        bins: [N], in which bin of the calibration error each row is.
        gaps: [N], confidence minus correctness.
    """

    bins: Ints
    gaps: Floats

    def error(self, rows: Ints | slice = slice(None)) -> float:
        """Expected calibration error on some of the rows."""
        return binned_calibration_error(self.bins[rows], self.gaps[rows])


def _binned(model: Evidence) -> _Binned | None:
    """None for a model without classes."""
    if model.confidence is None or model.correct is None:
        return None
    return _Binned(confidence_bins(model.confidence), model.confidence - model.correct)


def calibration(challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[Veto]:
    """The expected calibration error, with a paired bootstrap of its difference."""
    new, old, margin = _binned(challenger), _binned(champion), section.calibration_margin
    if margin is None or new is None or old is None or len(new.gaps) < section.min_rows:
        return
    ours, theirs = new.error(), old.error()
    if ours - theirs <= margin:
        return

    def differences(picks: Ints) -> Floats:  # [S, N] -> [S]
        return np.array([new.error(rows) - old.error(rows) for rows in picks])

    drawn = bootstrap_rows(len(new.gaps), differences, resamples=RESAMPLES, seed=0)
    # Calibration errors are biased upwards, but both by about the same: it is their difference that must exceed 0.
    if percentile_interval(drawn, section.level).low > 0:
        yield Veto(
            "calibration",
            f"the expected calibration error is {ours:.4f}, the champion's {theirs:.4f}, allowed are {margin:g} more",
        )


def coverage(
    challenger: Evidence, champion: Evidence, groups: Mapping[str, Bools], section: GateSection
) -> Iterator[Veto]:
    """Whether fewer rows of a class or subgroup are accepted: abstaining must not fall on some alone."""
    if section.coverage_margin is None:
        return
    margin, kept = section.coverage_margin, _accepted(challenger, champion)
    if kept is None:
        return
    ours, theirs, how = kept  # 1 where a row is accepted, [N] each
    unit, pairs = Unit(how, margin, 1), {name: (ours[rows], theirs[rows]) for name, rows in groups.items()}
    if how != SUREST:
        whole = list(_worse("coverage", {"all rows": (ours, theirs)}, unit, section, lambda _: margin))
        if whole:  # one cause, not one per group
            yield from whole
            return
    yield from _worse("coverage", pairs, unit, section, lambda _: margin)


def _accepted(challenger: Evidence, champion: Evidence) -> tuple[Floats, Floats, str] | None:
    """Rows that both accept: by their certificates, where the champion's accepts any; otherwise the surest ones."""
    if challenger.accepted is not None and champion.accepted is not None and champion.accepted.any():
        return challenger.accepted.astype(float), champion.accepted.astype(float), "share accepted by the certificate"
    if challenger.uncertainty is None or champion.uncertainty is None or not len(challenger.uncertainty):
        return None
    return surest(challenger.uncertainty), surest(champion.uncertainty), SUREST


def surest(uncertainty: Floats) -> Floats:
    """1 for the surest 80% of rows, 0 for the others; rows that tie at the edge share what is left.

    Examples:
        >>> surest(np.array([0.1, 0.2, 0.3, 0.3])).tolist()
        [1.0, 1.0, 0.6, 0.6]
    """
    edge = np.quantile(uncertainty, SURE_SHARE, method="higher")  # the uncertainty of a row, not one between rows
    below, ties = uncertainty < edge, uncertainty == edge
    return below + ties * ((SURE_SHARE * len(uncertainty) - below.sum()) / ties.sum()).round(12)


def groups_worse(
    name: str, pairs: Mapping[str, tuple[Floats, Floats]], unit: Unit, section: GateSection
) -> Iterator[Veto]:
    """Groups of rows in which the challenger is worse by more than their margin, and beyond chance.

    Args:
        name: of the veto.
        pairs: group -> goodness of challenger and champion on its rows.
        unit: of the metric.
        section: of the configuration.
    """
    times = section.subgroup_margin
    if times is not None:
        yield from _worse(name, pairs, unit, section, lambda champion: times * unit.tolerance(section, champion))


def _worse(
    name: str,
    pairs: Mapping[str, tuple[Floats, Floats]],
    unit: Unit,
    section: GateSection,
    limit: Callable[[Floats], float],
) -> Iterator[Veto]:
    """One veto that names every group worse than its limit; all tests together hold at the level (Bonferroni)."""
    judged = {group: pair for group, pair in pairs.items() if len(pair[0]) >= section.min_rows}
    losses: list[tuple[float, str]] = []
    for group, (first, second) in judged.items():
        allowed, lost = limit(second), float(second.mean() - first.mean())
        if lost > allowed and p_worse(first - second) < (1 - section.level) / 2 / len(judged):
            ours, theirs = unit.sign * first.mean(), unit.sign * second.mean()
            values = f"{unit.word} {ours:.4f} against {theirs:.4f}, worse by {lost:.4f} (allowed {allowed:.4g})"
            # By how often they exceed their limit, the worst first.
            losses.append((-lost / max(allowed, 1e-12), f"{group}, {len(first):,} rows: {values}"))
    if losses:
        words = [words for _, words in sorted(losses)]
        more = f", and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        yield Veto(name, ", and ".join(words[:SHOWN]) + more)


def p_worse(differences: Floats) -> float:
    """One-sided p-value of paired differences being below 0 on average.

    Exact (McNemar's test) where they are -1, 0 and 1, whatever the number of rows; Student's t otherwise.

    Examples:
        >>> p_worse(np.array([-1.0, -1.0, -1.0, 0.0]))
        0.125
    """
    below, above = int((differences < 0).sum()), int((differences > 0).sum())
    # Of the rows on which the models disagree as many should favour one as the other: a fair coin.
    if np.isin(differences, (-1.0, 0.0, 1.0)).all():
        return float(binom.sf(below - 1, below + above, 0.5))
    if len(differences) < 2 or np.ptp(differences) == 0:  # without a spread there is no statistic
        return float(differences.mean() >= 0)
    return float(ttest_1samp(differences, 0.0, alternative="less").pvalue)
