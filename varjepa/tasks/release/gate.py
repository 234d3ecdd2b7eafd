"""Step 12: compare the new version with the champion, and decide which of them is the champion from now on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from prefect.cache_policies import NO_CACHE

from varjepa.config import RetrainConfig
from varjepa.config.durations import duration
from varjepa.tasks.registry.approval import Approval, approval_of, ask, waiting
from varjepa.tasks.registry.champion import (
    CHAMPION,
    PENDING_ALIAS,
    champion_of,
    history,
    move_champion,
    rolled_back,
    settle,
)
from varjepa.tasks.registry.tags import GATE_TAG, NOT_YET, TOLD_TAG
from varjepa.tasks.release.compare import Candidate, compare, keep_rows
from varjepa.tasks.release.register import Registered
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.tracking.headlines import SHORT, VERDICT
from varjepa.tasks.tracking.locks import registry_lock
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import tracking_uri
from varjepa.visible import markdown_text

if TYPE_CHECKING:
    from varjepa.evaluation.gate.verdict import Verdict


ATTEMPTS = 3
"""Number of comparisons outside of the lock before one is made under it."""

HEADLINE, LONGEST = "\n## Gate\n", 5000
"""Heading of our part of a version's description, and the registry's limit of its length."""


@dataclass(frozen=True)
class Decision:
    """The gate's decision.

    Attributes:
        promoted: whether this run made the version the champion.
        reason: text for people.
        aliases: of the version, afterwards.
        metrics: gate/..., for the run.
        event: what people are told; None if nothing has been decided.
    """

    promoted: bool
    reason: str
    aliases: list[str]
    metrics: dict[str, float]
    event: Literal["promoted", "refused", "pending"] | None = None


Publish = Callable[[Decision], object]
"""Records a decision before it takes effect."""


@retried_task("gate", task_run_name="gate {config.registry.name}", cache_policy=NO_CACHE)
def gate(
    candidate: Candidate, registered: Registered | None, config: RetrainConfig, publish: Publish = lambda _: None
) -> Decision:
    """Compares the candidate with the champion of its name, and promotes it if the verdict says so.

    The alias moves last: whatever records the decision may fail, and then the champion is still the old one.

    A comparison takes long, so it is made before the registry is locked. If another process has moved the champion in
    the meantime, the comparison is repeated with the new champion.

    Args:
        candidate: the finished model.
        registered: its version; None for a dry run, which changes nothing.
        config: of the job.
        publish: records the decision.
    """
    uri, name = tracking_uri(config.tracking), config.registry.name
    client = client_for(uri)
    if registered is None:
        verdict = compare(candidate, champion_of(client, name), config)
        would = "would be promoted" if _would(verdict, config) else "would not be promoted"
        reason = f"dry run, {would}: {verdict.reason}"
        return _published(publish, Decision(promoted=False, reason=reason, aliases=[], metrics=_metrics(verdict)))
    # Kept before any comparison: a later challenger needs them whatever the verdict is.
    if config.gate.reference:
        keep_rows(candidate, registered.version, config)
    # Optimistic locking: compare first, then take the lock and check that the champion is still the same.
    for _attempt in range(ATTEMPTS):
        champion = champion_of(client, name)
        if champion == registered.version:
            return _published(publish, _already(client, registered, uri))
        verdict = compare(candidate, champion, config)
        with registry_lock(uri, name):
            present = champion_of(client, name)
            if present == champion:
                return _settle(client, registered, verdict, champion, config, publish=publish)
        log.info("gate: version %s became the champion in the meantime, comparing with it", present)
    # The champion keeps moving: hold the lock for a whole comparison, so that this one counts.
    with registry_lock(uri, name):
        champion = champion_of(client, name)
        return _settle(client, registered, compare(candidate, champion, config), champion, config, publish=publish)


def _would(verdict: "Verdict", config: RetrainConfig) -> bool:
    return verdict.promote and (verdict.outcome != "first" or config.gate.promote_first)


def _published(publish: Publish, decision: Decision) -> Decision:
    publish(decision)
    return decision


def _settle(
    client: Any, registered: Registered, verdict: "Verdict", champion: int | None, config: RetrainConfig, *,
    publish: Publish,
) -> Decision:  # fmt: skip
    """Records the decision, then moves the alias if the verdict says so; call under the lock."""
    name, version = registered.name, registered.version
    promoted, waits, reason = _outcome(client, registered, verdict, champion, config)
    # A champion that cannot be read counts as none, and nothing was compared with it.
    met = None if verdict.outcome == "first" else champion
    reason = reason if met is None else f"version {met}: {reason}"
    _write_down(client, registered, verdict, met, reason, promoted=promoted)
    if config.notify and TOLD_TAG not in client.get_model_version(name, str(version)).tags:
        client.set_model_version_tag(name, str(version), TOLD_TAG, NOT_YET)
    word = "promoted" if promoted else "waiting for a person" if waits is not None else "not promoted"
    client.set_model_version_tag(name, str(version), VERDICT, f"{word}: {reason}"[:SHORT])
    new = {CHAMPION} if promoted else {PENDING_ALIAS} if waits is not None else set()
    decision = Decision(
        promoted=promoted, reason=reason, aliases=sorted({*_aliases(client, name, version), *new}),
        metrics=_metrics(verdict), event="promoted" if promoted else "pending" if waits is not None else "refused",
    )  # fmt: skip
    publish(decision)
    if waits is not None:
        ask(client, name, version, waits)
    if promoted:
        move_champion(client, name, version, by="retrain", reason=reason)
    return decision


class _Outcome(NamedTuple):
    """What comes of a verdict: whether the version is promoted, or waits for a person; and why, in words."""

    promoted: bool
    waits: Approval | None
    reason: str


def _outcome(
    client: Any, registered: Registered, verdict: "Verdict", champion: int | None, config: RetrainConfig
) -> _Outcome:
    name, version, reason = registered.name, registered.version, verdict.reason
    if verdict.promote and not _would(verdict, config):
        return _Outcome(promoted=False, waits=None, reason=f"gate.promote_first is off; {reason}")
    if not verdict.promote:
        return _Outcome(promoted=False, waits=None, reason=reason)
    # A person's word outranks the gate: the same model must not come back by itself.
    only = "and only `varjepa promote` can promote it"
    undone, approval = rolled_back(history(client, name), version), approval_of(client, name, version)
    if undone is not None:
        return _Outcome(
            promoted=False, waits=None, reason=f"it was rolled back at {undone.time}, {only} again; {reason}"
        )
    if approval is not None and approval.state == "rejected":
        words = f"{approval.who} rejected it at {approval.time} ({approval.why}), {only}"
        return _Outcome(promoted=False, waits=None, reason=f"{words}; {reason}")
    if config.gate.approve == "gate":
        return _Outcome(promoted=True, waits=None, reason=reason)
    waits = waiting(approval, champion, duration(config.gate.approve_within))
    return _Outcome(promoted=False, waits=waits, reason=f"it waits for approval until {waits.until}; {reason}")


def _already(client: Any, registered: Registered, uri: str) -> Decision:
    """The decision for a model that is the champion already: the results of its earlier comparison still hold."""
    with registry_lock(uri, registered.name):
        settle(client, registered.name)  # records a move of this job that died after it had moved the alias
    tags = client.get_model_version(registered.name, str(registered.version)).tags
    reason = f"version {registered.version} is already the champion"
    numbers = json.loads(tags.get(f"{GATE_TAG}.numbers", "{}"))
    aliases = _aliases(client, registered.name, registered.version)
    return Decision(promoted=False, reason=reason, aliases=aliases, metrics=numbers)


def _metrics(verdict: "Verdict") -> dict[str, float]:
    return {f"gate/{name}": value for name, value in verdict.numbers.items()}


def _aliases(client: Any, name: str, version: int) -> list[str]:
    versions = client.get_registered_model(name).aliases
    return sorted(alias for alias, number in versions.items() if int(number) == version)


def _write_down(
    client: Any, registered: Registered, verdict: "Verdict", champion: int | None, reason: str, *, promoted: bool
) -> None:
    """Writes the verdict to the version's tags and description."""
    name, version = registered.name, str(registered.version)
    tags = {
        "": reason[:LONGEST],
        ".outcome": verdict.outcome,
        ".vetoes": ", ".join(veto.name for veto in verdict.vetoes),
        ".against": "" if champion is None else str(champion),
        ".numbers": json.dumps(_metrics(verdict)),
    }
    # All of them at every comparison, so that no tag of an earlier one is left.
    for ending, value in tags.items():
        client.set_model_version_tag(name, version, f"{GATE_TAG}{ending}", value)
    vetoes = [f"{veto.name}: {veto.reason}" for veto in verdict.vetoes]
    lines = [f"- {markdown_text(line)}" for line in (*vetoes, verdict.compared, *verdict.notes)]
    met = "" if champion is None else f", against version {champion}"
    ours = f"{HEADLINE}\n{'Promoted' if promoted else 'Not promoted'}{met}.\n\n{chr(10).join(lines)}\n"[:LONGEST]
    # Replaces the verdict of an earlier comparison; where both are too long, the card is cut, not the verdict.
    card = (client.get_model_version(name, version).description or "").partition(HEADLINE)[0]
    client.update_model_version(name, version, card[: LONGEST - len(ours)] + ours)
