"""Versions that wait for a person: the alias `pending`, and a tag that says until when, and who decided why."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import TYPE_CHECKING, Literal

from varjepa.errors import ModelError, UserError
from varjepa.tasks.answers.registry import ApprovalAnswer
from varjepa.tasks.registry.champion import (
    PENDING_ALIAS,
    champion_of,
    end_waiting,
    history,
    move_champion,
    rolled_back,
)
from varjepa.tasks.registry.open_model import REGISTRY, registered_version
from varjepa.tasks.registry.tags import APPROVAL_TAG, GATE_TAG
from varjepa.tasks.registry.verify import verify
from varjepa.tasks.tracking.headlines import SHORT, VERDICT
from varjepa.tasks.tracking.locks import registry_lock
from varjepa.tasks.tracking.names import user_name
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 1000
"""Most characters of a reason."""


@dataclass(frozen=True)
class Approval:
    """Whether a person has decided about a version.

    Attributes:
        state: pending, approved or rejected.
        since: when the version began to wait; ISO 8601, UTC, as all times here.
        until: after that only `varjepa promote` makes it the champion.
        against: the champion that it was compared with; None if there was none.
        who: decided; empty while it waits.
        why: their reason.
        time: of the decision.
    """

    state: Literal["pending", "approved", "rejected"]
    since: str
    until: str
    against: int | None
    who: str = ""
    why: str = ""
    time: str = ""

    @property
    def expired(self) -> bool:
        """Whether nobody has decided in time."""
        return self.state == "pending" and datetime.now(UTC) > datetime.fromisoformat(self.until)


def approval_of(client: "MlflowClient", name: str, version: int) -> Approval | None:
    """What is known about a version; None if it never had to wait."""
    text = client.get_model_version(name, str(version)).tags.get(APPROVAL_TAG)
    return None if text is None else Approval(**json.loads(text))


def waiting(before: Approval | None, against: int | None, within: timedelta) -> Approval:
    """The state of a version that passed the gate: a retrain of the same job does not prolong its time.

    Args:
        before: its state so far.
        against: the champion that it was compared with.
        within: how long it may wait.
    """
    if before is not None and before.state == "pending" and before.against == against and not before.expired:
        return before
    now = datetime.now(UTC)
    return Approval("pending", _text(now), _text(now + within), against)


def ask(client: "MlflowClient", name: str, version: int, approval: Approval) -> None:
    """Makes a version the one that waits, in the place of another one. Call it under the lock of the registry."""
    _write(client, name, version, approval)
    client.set_registered_model_alias(name, PENDING_ALIAS, str(version))


def decide(model: str, uri: str | None, *, approve: bool, why: str) -> ApprovalAnswer:
    """Approves or rejects a version that waits; an approved one is the champion afterwards.

    Args:
        model: a registered name, `models:/NAME/VERSION` or `models:/NAME@pending`.
        uri: tracking store; None means the default one.
        approve: or else reject.
        why: the reason, for the record.

    Raises:
        UserError: no reason is given.
        ModelError: the version does not wait, is the champion, has waited too long, was compared with another champion,
            or cannot be read.
    """
    why = " ".join(why.split())[:LONGEST]
    if not why:
        raise UserError("A decision needs a reason.", fix='Pass one, such as --why "checked with the sales team".')
    place = store(uri)
    name, number = registered_version(model if "/" in model else f"{REGISTRY}{model}@{PENDING_ALIAS}", uri)
    client, version = client_for(place), int(number)
    if approve:
        verify(f"{REGISTRY}{name}/{number}", uri)  # a version that cannot be read must not become the champion
    with registry_lock(place, name):
        approval, before = approval_of(client, name, version), champion_of(client, name)
        undone = rolled_back(history(client, name), version) is not None
        approval = _required(name, version, approval, before, approve=approve, undone=undone)
        decided = replace(
            approval,
            state="approved" if approve else "rejected",
            who=user_name(),
            why=why,
            time=_text(datetime.now(UTC)),
        )
        # Written first: if the move dies, the same command completes it.
        _write(client, name, version, decided)
        client.set_model_version_tag(name, number, VERDICT, f"{decided.state} by {decided.who}: {why}"[:SHORT])
        if approve:
            gate = client.get_model_version(name, number).tags.get(GATE_TAG, "")
            move_champion(client, name, version, by="approve", reason=f"approved: {why}; {gate}")
        else:
            end_waiting(client, name, version)  # another one may wait by now
    return {
        "name": name, "version": version, "uri": f"{REGISTRY}{name}/{version}", "before": before, "moved": approve,
        "state": decided.state, "who": decided.who, "why": why,
    }  # fmt: skip


def _required(
    name: str, version: int, approval: Approval | None, champion: int | None, *, approve: bool, undone: bool
) -> Approval:
    """The state of a version that may be decided about; `undone` if it was the champion and somebody rolled it back.

    Raises:
        ModelError: see `decide`.
    """
    what, uri = f"Version {version} of {name}", quote(f"{REGISTRY}{name}/{version}")
    by_hand = f"`varjepa promote {uri}` promotes it by hand."
    if approval is None:
        raise ModelError(f"{what} does not wait for approval.", fix=by_hand)
    if approve and approval.state == "approved" and champion == approval.against and not undone:
        return approval  # the process that approved it died before the alias moved
    if approval.state != "pending":
        raise ModelError(
            f"{what} was {approval.state} by {approval.who} at {approval.time}: {approval.why}.", fix=by_hand
        )
    if champion == version:
        raise ModelError(f"{what} is the champion already.", fix=f"`varjepa rollback {quote(name)}` withdraws it.")
    if approve and approval.expired:
        raise ModelError(f"{what} has waited longer than gate.approve_within, until {approval.until}.", fix=by_hand)
    if approve and approval.against != champion:
        was = "when there was no champion" if approval.against is None else f"with version {approval.against}"
        raise ModelError(
            f"{what} was compared {was}, but version {champion} is the champion now.",
            fix=f"Retrain, so that it is compared again. {by_hand}",
        )
    return approval


def _write(client: "MlflowClient", name: str, version: int, approval: Approval) -> None:
    client.set_model_version_tag(name, str(version), APPROVAL_TAG, json.dumps(asdict(approval)))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
