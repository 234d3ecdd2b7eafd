"""The history of champions: an append-only list of events, and the alias `champion`.

An event is one tag of the registered model with a unique key, so that processes never overwrite each other's events.
The alias decides who is champion. If it was moved by other means, the next change records that first.
"""

import getpass
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER, CHAMPION = "challenger", "champion"
PREFIX = "varjepa.champion."
LONGEST = 3000
"""Maximum number of characters of a reason; columns of the registry have at most 5,000."""

By = Literal["retrain", "promote", "rollback", "outside"]


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
    models = [model for model in client.search_registered_models(f"name = '{name}'") if model.name == name]
    number = models[0].aliases.get(CHAMPION) if models else None
    return None if number is None else int(number)


def history(client: "MlflowClient", name: str) -> list[Event]:
    """All changes of the champion, oldest first."""
    return [event for _, event in _events(client, name)]


def _events(client: "MlflowClient", name: str) -> list[tuple[int, Event]]:
    """Times in nanoseconds, with events, oldest first."""
    tags = client.get_registered_model(name).tags
    entries = ((key.removeprefix(PREFIX), value) for key, value in tags.items() if key.startswith(PREFIX))
    ordered = sorted((int(key.split("-")[0]), key, value) for key, value in entries)
    return [(moment, Event(**json.loads(value))) for moment, _, value in ordered]


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
    """Makes a version the champion and records the event. Call it under the lock of the registry."""
    before = settle(client, name)
    client.set_registered_model_alias(name, CHAMPION, str(version))
    return _record(client, name, Event(version, before, by, getpass.getuser(), _now(), reason[:LONGEST], steps))


def settle(client: "MlflowClient", name: str) -> int | None:
    """Records a move of the alias by other means, if there was one; returns the current champion."""
    now, events = champion_of(client, name), history(client, name)
    last = events[-1].version if events else None
    if now is not None and now != last:
        reason = "the alias was moved by other means"
        _record(client, name, Event(now, last, "outside", getpass.getuser(), _now(), reason))
    return now


def _record(client: "MlflowClient", name: str, event: Event) -> Event:
    # The clocks of several machines differ. So an event is never earlier than the last one.
    moments = [moment for moment, _ in _events(client, name)]
    moment = max([time.time_ns(), *(moment + 1 for moment in moments[-1:])])
    client.set_registered_model_tag(name, f"{PREFIX}{moment}-{secrets.token_hex(3)}", json.dumps(asdict(event)))
    return event


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
