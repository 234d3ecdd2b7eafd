"""The history of champions: an append-only list of events, and the alias `champion`.

An event is one tag of the registered model with a unique key, so that processes never overwrite each other's events.
The alias decides who is champion. If it was moved by other means, the next change records that first.

A move writes what it is about to do, then moves the alias, then records the event. Wherever it dies, the alias
decides: if it has moved, the event counts from then on, and the next move records it; otherwise nothing has happened.
"""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from varjepa.tasks.registry.search import registered_model
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.names import user_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

    from varjepa.tasks.registry.reader import ModelEntry

CHALLENGER, CHAMPION, PENDING_ALIAS = "challenger", "champion", "pending"
PREFIX, PENDING = "varjepa.champion.", "varjepa.pending"
"""Tags of a registered model: begin of the keys of its events, and the move that is in progress."""

LONGEST = 3000
"""Maximum number of characters of a reason; columns of the registry have at most 5,000."""

By = Literal["retrain", "promote", "approve", "rollback", "outside"]


@dataclass(frozen=True)
class Event:
    """A change of the champion.

    Attributes:
        version: the new champion.
        before: the previous champion; None for the first.
        by: retrain, promote or rollback; outside: the alias was moved by other means.
        who: user name.
        time: ISO 8601, UTC.
        reason: in words.
        steps: number of champions that a rollback went back, including those whose versions are deleted.
    """

    version: int
    before: int | None
    by: By
    who: str
    time: str
    reason: str
    steps: int = 0


def champion_of(client: "MlflowClient", name: str) -> int | None:
    """The current champion; None if there is none, or no such model."""
    model = registered_model(client, name)
    number = None if model is None else model.aliases.get(CHAMPION)
    return None if number is None else int(number)


def history(client: "MlflowClient", name: str) -> list[Event]:
    """All changes of the champion, oldest first; also one that has moved the alias and died before it was recorded."""
    return history_of(client.get_registered_model(name))


def history_of(model: "RegisteredModel | ModelEntry") -> list[Event]:
    """The same of a registered model that has been read already."""
    events, pending = [event for _, event in _events(model)], _pending(model)
    return [*events, pending] if pending is not None and _unrecorded(model, pending, events) else events


def _events(model: "RegisteredModel | ModelEntry") -> list[tuple[int, Event]]:
    """Times in nanoseconds, with events, oldest first."""
    entries = ((key.removeprefix(PREFIX), value) for key, value in model.tags.items() if key.startswith(PREFIX))
    ordered = sorted((int(key.split("-")[0]), key, value) for key, value in entries)
    return [(moment, Event(**json.loads(value))) for moment, _, value in ordered]


def _pending(model: "RegisteredModel | ModelEntry") -> Event | None:
    """The move that was in progress when its process died, or is in progress now."""
    text = model.tags.get(PENDING)
    return None if text is None else Event(**json.loads(text))


def _unrecorded(model: "RegisteredModel | ModelEntry", pending: Event, events: Sequence[Event]) -> bool:
    """Whether the move has reached the alias, but not the history."""
    champion = model.aliases.get(CHAMPION)
    return champion is not None and int(champion) == pending.version and pending not in events


def succession(events: Sequence[Event]) -> list[int]:
    """The champions that rollbacks go back through, the current one last.

    A rollback removes champions from the end, so that repeated rollbacks go further back. A version that is promoted
    after a rollback follows the remaining ones.

    Examples:
        >>> def event(version, by, steps=0):
        ...     return Event(version, None, by, "", "", "", steps)
        >>> succession([event(1, "retrain"), event(2, "retrain"), event(3, "promote")])
        [1, 2, 3]
        >>> succession([event(1, "retrain"), event(2, "retrain"), event(1, "rollback", 1), event(4, "promote")])
        [1, 4]
    """
    line: list[int] = []
    for event in events:
        if event.by == "rollback":
            del line[len(line) - event.steps :]
        if not line or line[-1] != event.version:
            line.append(event.version)
    return line


def rolled_back(events: Sequence[Event], version: int) -> Event | None:
    """The rollback that withdrew a version; None if there was none, or if it was promoted again."""
    last = None
    for event in events:
        if event.by == "rollback" and event.before == version:
            last = event
        elif event.version == version:
            last = None
    return last


def move_champion(client: "MlflowClient", name: str, version: int, *, by: By, reason: str, steps: int = 0) -> Event:
    """Makes a version the champion and records the event. Call it under the lock of the registry.

    Nothing fails once the alias has moved: an event that cannot be recorded then is recorded by the next move.
    """
    before = settle(client, name)
    event = Event(version, before, by, user_name(), _now(), reason[:LONGEST], steps)
    client.set_registered_model_tag(name, PENDING, json.dumps(asdict(event)))
    client.set_registered_model_alias(name, CHAMPION, str(version))
    try:
        end_waiting(client, name, version)
        settle(client, name)
    except Exception as error:  # noqa: BLE001 (the move itself has succeeded)
        log.warning(
            "version %d of %s is the champion; its history follows with the next change: %s", version, name, error
        )
    return event


def end_waiting(client: "MlflowClient", name: str, version: int) -> None:
    """Takes the alias `pending` from a version, if it is that one which waits."""
    model = registered_model(client, name)
    if model is not None and int(model.aliases.get(PENDING_ALIAS, 0)) == version:
        client.delete_registered_model_alias(name, PENDING_ALIAS)


def settle(client: "MlflowClient", name: str) -> int | None:
    """Completes the history: records a move that died, or one by other means. Returns the current champion.

    Call it under the lock of the registry.
    """
    model = registered_model(client, name)
    if model is None:
        return None
    events, pending = [event for _, event in _events(model)], _pending(model)
    if pending is not None:
        if _unrecorded(model, pending, events):
            _record(client, model, pending)
            events.append(pending)
        client.delete_registered_model_tag(name, PENDING)
    number = model.aliases.get(CHAMPION)
    now, last = None if number is None else int(number), events[-1].version if events else None
    if now is not None and now != last:
        reason = "the alias was moved by other means"
        _record(client, model, Event(now, last, "outside", user_name(), _now(), reason))
    return now


def _record(client: "MlflowClient", model: "RegisteredModel", event: Event) -> None:
    # The clocks of several machines differ. So an event is never earlier than the last one.
    moments = [moment for moment, _ in _events(model)]
    moment = max([time.time_ns(), *(moment + 1 for moment in moments[-1:])])
    text = json.dumps(asdict(event))
    client.set_registered_model_tag(model.name, f"{PREFIX}{moment}-{secrets.token_hex(3)}", text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
