"""Who was champion when: events that are only ever added, and the alias that follows them.

An event is one tag of the registered model with a key of its own, so that two processes never overwrite each other's.
The alias is the truth; where somebody moved it by hand, the next move notes that first.
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
"""Letters of a reason; a registry's columns are no longer than 5,000."""

By = Literal["retrain", "promote", "rollback", "outside"]


@dataclass(frozen=True)
class Event:
    """The champion changed.

    Attributes:
        version: the champion from then on.
        before: the one until then; None for the first.
        by: retrain, promote or rollback, or outside: somebody moved the alias by other means.
        who: user name.
        time: ISO 8601, UTC.
        reason: in words.
        steps: how many champions a rollback went back, those included whose versions are deleted.
    """

    version: int
    before: int | None
    by: By
    who: str
    time: str
    reason: str
    steps: int = 0


def champion_of(client: "MlflowClient", name: str) -> int | None:
    """Version that has the alias now; None where there is none, or no such model."""
    found = [model for model in client.search_registered_models(f"name = '{name}'") if model.name == name]
    number = found[0].aliases.get(CHAMPION) if found else None
    return None if number is None else int(number)


def history(client: "MlflowClient", name: str) -> list[Event]:
    """All changes of the champion, oldest first."""
    return [event for _, event in _events(client, name)]


def _events(client: "MlflowClient", name: str) -> list[tuple[int, Event]]:
    """Nanoseconds and events, oldest first."""
    tags = client.get_registered_model(name).tags
    found = ((key.removeprefix(PREFIX), value) for key, value in tags.items() if key.startswith(PREFIX))
    ordered = sorted((int(key.split("-")[0]), key, value) for key, value in found)
    return [(moment, Event(**json.loads(value))) for moment, _, value in ordered]


def succession(events: Sequence[Event]) -> list[int]:
    """The champions that a rollback goes back through, the present one last.

    A rollback takes champions away from the end, so that one after another goes further back, and whoever is promoted
    after a rollback comes after those that are left.

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
    """The rollback that took a version's place away, unless it was promoted again."""
    last = None
    for event in events:
        if event.by == "rollback" and event.before == version:
            last = event
        elif event.version == version:
            last = None
    return last


def move_champion(client: "MlflowClient", name: str, version: int, *, by: By, reason: str, steps: int = 0) -> Event:
    """Makes a version the champion and adds the event; to be called under the registry's lock."""
    before = settle(client, name)
    client.set_registered_model_alias(name, CHAMPION, str(version))
    return _record(client, name, Event(version, before, by, getpass.getuser(), _now(), reason[:LONGEST], steps))


def settle(client: "MlflowClient", name: str) -> int | None:
    """Notes where the alias was moved by other means than ours; returns the present champion."""
    now, events = champion_of(client, name), history(client, name)
    last = events[-1].version if events else None
    if now is not None and now != last:
        reason = "the alias was moved by other means"
        _record(client, name, Event(now, last, "outside", getpass.getuser(), _now(), reason))
    return now


def _record(client: "MlflowClient", name: str, event: Event) -> Event:
    # Clocks of several machines differ, the order of events must not.
    moments = [moment for moment, _ in _events(client, name)]
    moment = max([time.time_ns(), *(moment + 1 for moment in moments[-1:])])
    client.set_registered_model_tag(name, f"{PREFIX}{moment}-{secrets.token_hex(3)}", json.dumps(asdict(event)))
    return event


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
