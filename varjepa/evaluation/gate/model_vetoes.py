"""The vetoes that look at the models themselves, not at rows: collapse, latency, contract."""

from collections.abc import Iterator

from varjepa.config.operations import GateSection
from varjepa.errors import listed
from varjepa.evaluation.gate.evidence import Evidence
from varjepa.evaluation.gate.veto import Veto

STRICT_KINDS = ("numeric", "date")
"""Kinds that refuse what they cannot read."""


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
