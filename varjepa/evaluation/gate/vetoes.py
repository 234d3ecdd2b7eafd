"""The vetoes that compare rows: each looks at one thing that an average does not show."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from scipy.stats import norm

from varjepa.config.operations import GateSection
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.gate.evidence import Compared, Evidence, Unit
from varjepa.evaluation.gate.paired_tests import Pairs, enough, fewest_units, interval, p_worse
from varjepa.evaluation.gate.veto import Veto
from varjepa.evaluation.uncertainty.selective import surest

SURE_SHARE = 0.8
"""Accepted where there is no certificate: the surest rows, this share of all."""

SUREST = "share of the surest 80%"

SHOWN, MOST_NAMES = 3, 5
"""Groups that a veto names, the worst first; and small groups that a note names."""

BALANCED = "all classes alike (balanced accuracy)"


def structure(name: str, rows: str, challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[Veto]:
    """Whether a cell says less of the others of its row: neither accuracy nor the ELBO need to notice."""
    margin, ours, theirs = section.structure_margin, challenger.structure, champion.structure
    if margin is not None and ours is not None and theirs is not None and len(ours):
        unit = Unit("log-probability of a cell given the others", margin, 1)
        yield from _worse(name, {rows: challenger.compared(ours, theirs)}, unit, section, lambda _: margin)


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
    unit, whole = Unit(how, margin, 1, bound=1.0), challenger.compared(ours, theirs, bound=1.0)
    noise = 0.0 if how == SUREST else math.hypot(challenger.accepted_error, champion.accepted_error)
    if how != SUREST:
        fired = list(_worse("coverage", {"all rows": whole}, unit, section, lambda _: margin, noise=noise))
        if fired:  # one cause, not one per group
            yield from fired
            return
    yield from _worse("coverage", _parts(groups, whole, section), unit, section, lambda _: margin, noise=noise)


def _accepted(challenger: Evidence, champion: Evidence) -> tuple[Floats, Floats, str] | None:
    """Rows that both accept: by their certificates, where the champion's accepts any; otherwise the surest ones."""
    if challenger.accepted is not None and champion.accepted is not None and champion.accepted.any():
        return challenger.accepted.astype(float), champion.accepted.astype(float), "share accepted by the certificate"
    if challenger.uncertainty is None or champion.uncertainty is None or not len(challenger.uncertainty):
        return None
    return surest(challenger.uncertainty, SURE_SHARE), surest(champion.uncertainty, SURE_SHARE), SUREST


def groups_worse(
    name: str,
    groups: Mapping[str, Bools],
    whole: Compared,
    unit: Unit,
    section: GateSection,
    *,
    weights: Floats | None = None,
) -> Iterator[Veto]:
    """Groups of rows in which the challenger is worse by more than their margin, and beyond chance.

    Small groups are judged together as well. Right and wrong answers are judged in groups of any size, as their test is
    exact; other values only in groups of `min_rows`.

    Args:
        name: of the veto.
        groups: name -> which rows belong to it, [N].
        whole: goodness on all rows.
        unit: of the metric.
        section: of the configuration.
        weights: of each row [N], mean 1, for one more test over all rows, the balanced accuracy; None for none.
    """
    times = section.subgroup_margin
    if times is None:
        return
    parts = _parts(groups, whole, section, weights)
    yield from _worse(name, parts, unit, section, lambda champion: times * unit.tolerance(section, champion))


def class_weights(classes: Ints) -> Floats:
    """Weights of rows [N], mean 1, with which each class counts alike.

    Examples:
        >>> class_weights(np.array([0, 0, 0, 1])).round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    _, number, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return len(classes) / (len(counts) * counts[number])


def unseen_losses(
    groups: Mapping[str, Bools],
    whole: Compared,
    unit: Unit,
    section: GateSection,
    *,
    weights: Floats | None = None,
) -> Iterator[str]:
    """What `groups_worse` cannot see, in words: losses in small groups, and unbounded ones in few rows."""
    few = [name for name, rows in groups.items() if rows.sum() < section.min_rows]
    if groups and not enough(whole.pairs, section.risk):
        fewest = fewest_units(section.risk)
        yield f"{unit.word} in classes and subgroups is judged only where there are {fewest} independent rows or more"
    elif few and unit.bound is None:
        yield f"not judged by itself, with fewer than {section.min_rows} test rows: {_first_names(few)}"
    elif few:
        parts = _parts(groups, whole, section, weights)
        words = [_seen_from(name, groups, parts, section) for name in few[:MOST_NAMES]] + few[MOST_NAMES:]
        yield f"with fewer than {section.min_rows} test rows, only large losses are seen: {_first_names(words)}"


def _seen_from(name: str, groups: Mapping[str, Bools], parts: Mapping[str, Compared], section: GateSection) -> str:
    """From how many lost rows on a loss in a small group is seen; or clusters, each of which counts once."""
    if name not in parts:
        return f"{name} (0 rows, none)"
    # Such a loss lets the tests of all parts that share its rows fire, and so take their share of the error.
    sharing = {part for part in parts if part not in groups or (groups[part] & groups[name]).any()}
    # In an exact test every lost unit is an unlucky coin: this many, with none gained, are beyond chance.
    least = math.floor(-math.log2(_risk(parts, section, sharing))) + 1
    rows, units = len(parts[name].ours), len(parts[name].pairs.sizes)
    size = f"{rows} rows" + (f" in {units} clusters" if units < rows else "")
    return f"{name} ({size}, {f'from {least} lost on' if units >= least else 'none'})"


def unseen_structure(challenger: Evidence, champion: Evidence, section: GateSection) -> Iterator[str]:
    """Whether log densities are of too few rows to be judged, in words."""
    if challenger.structure is not None and champion.structure is not None and section.structure_margin is not None:
        pairs = challenger.compared(challenger.structure, champion.structure).pairs
        if not enough(pairs, section.risk):
            yield f"structure is judged only where there are {fewest_units(section.risk)} independent rows or more"


def _first_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _parts(
    groups: Mapping[str, Bools], whole: Compared, section: GateSection, weights: Floats | None = None
) -> dict[str, Compared]:
    """The groups that have rows; small ones of them together as one more, and all rows by their weights as another."""
    members = {name: rows for name, rows in groups.items() if rows.any()}
    small = [rows for rows in members.values() if rows.sum() < section.min_rows]
    if len(small) > 1:
        members[f"the {len(small)} groups of fewer than {section.min_rows} rows together"] = np.any(small, axis=0)
    parts = {name: whole.of(rows) for name, rows in members.items()}
    return parts if weights is None else parts | {BALANCED: whole.weighted(weights)}


def _worse(
    name: str,
    groups: Mapping[str, Compared],
    unit: Unit,
    section: GateSection,
    limit: Callable[[Floats], float],
    *,
    noise: float = 0.0,
) -> Iterator[Veto]:
    """One veto that names every group worse than its limit; all tests together hold at the level (Bonferroni).

    `noise` is the standard deviation of a difference from something else than the test rows, such as the calibration
    rows that certificates depend on.
    """
    judged = {group: part for group, part in groups.items() if _judged(part.pairs, section)}
    risk = _risk(judged, section)
    losses: list[tuple[float, str]] = []
    for group, part in judged.items():
        allowed, rows = limit(part.theirs), len(part.ours)
        if part.lost > allowed and _beyond_chance(part.pairs, risk) and _beyond_noise(part.pairs, risk, noise):
            ours, theirs = unit.sign * part.ours.mean(), unit.sign * part.theirs.mean()
            values = f"{unit.word} {ours:z.4f} against {theirs:z.4f}, worse by {part.lost:z.4f} (allowed {allowed:.4g})"
            # By how often they exceed their limit, the worst first.
            clusters = len(part.pairs.sizes)
            many = f"{rows:,} rows" + (f" in {clusters:,} clusters" if clusters < rows else "")
            losses.append((-part.lost / max(allowed, 1e-12), f"{group}, {many}: {values}"))
    if losses:
        words = [words for _, words in sorted(losses)]
        more = f", and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        yield Veto(name, ", and ".join(words[:SHOWN]) + more)


def _judged(pairs: Pairs, section: GateSection) -> bool:
    """Unbounded differences are judged in groups of `min_rows`, of which all rows together show how large they get."""
    return enough(pairs, section.risk) and (pairs.bound is not None or len(pairs.differences) >= section.min_rows)


def _beyond_chance(pairs: Pairs, risk: float) -> bool:
    """Whether a loss is shown with this error.

    Besides independent answers, gains that were not seen are reckoned with. Only in few clusters of answers that would
    hide every loss: there an exact test for interchangeable models has to do.
    """
    if p_worse(pairs) >= risk:
        return False
    few = pairs.answers and len(pairs.sizes) < fewest_units(risk)
    return pairs.exact or few or interval(pairs, 1 - 2 * risk).high < 0


def _beyond_noise(pairs: Pairs, risk: float, noise: float) -> bool:
    """Whether a loss exceeds the variation of both test rows and something else, of standard deviation `noise`."""
    units = pairs.units()
    return not noise or -pairs.mean > float(norm.isf(risk)) * math.hypot(noise, units.std() / math.sqrt(len(units)))


def _risk(groups: Mapping[str, Compared], section: GateSection, able: Collection[str] = ()) -> float:
    """Error of each test, so that all together hold at the level.

    An exact test cannot fire with fewer disagreements than its error takes; such tests need no share (Tarone, 1990).
    Those of `able` get one whatever was found.
    """
    smallest = np.array([
        0.5 ** sum(part.pairs.discordant) if part.pairs.answers and name not in able else 0.0
        for name, part in groups.items()
    ])  # fmt: skip
    shares = (section.risk / tests for tests in range(1, len(smallest) + 1) if _able(smallest, section.risk, tests))
    return next(shares, section.risk)


def _able(smallest: Floats, risk: float, tests: int) -> bool:
    """Whether at most `tests` tests can reach a `tests`-th of the risk, given their smallest p-values."""
    return bool((smallest < risk / tests).sum() <= tests)
