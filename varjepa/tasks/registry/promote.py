"""Changes the champion by hand: to a named version, or back to the previous champion."""

from collections.abc import Collection, Sequence

from varjepa.errors import ModelError, listed
from varjepa.tasks.answers.registry import MoveAnswer, VerdictAnswer
from varjepa.tasks.registry.champion import CHAMPION, champion_of, history, move_champion, succession
from varjepa.tasks.registry.names import REGISTRY, registered_version
from varjepa.tasks.registry.search import versions_of
from varjepa.tasks.registry.tags import GATE_TAG, listed_vetoes
from varjepa.tasks.tracking.locks import registry_lock
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

REFUSED = ("worse",)
"""Outcomes that need --force. An undecided version can be promoted by hand without it."""


def promote(model: str, uri: str | None, *, force: bool, dry_run: bool) -> MoveAnswer:
    """Makes a version the champion; returns what was done.

    Args:
        model: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        uri: tracking store; None means the default one.
        force: promote it even if the gate refused it.
        dry_run: change nothing; return what would be done.

    Raises:
        ModelError: there is no such version, it cannot be read, or the gate refused it.
    """
    place = store(uri)
    name, number = registered_version(model, uri)
    client, version = client_for(place), int(number)
    tags = client.get_model_version(name, number).tags
    outcome, vetoes = tags.get(f"{GATE_TAG}.outcome"), listed_vetoes(tags)
    gate_reason = tags.get(GATE_TAG, "the gate has not decided about it")
    if (vetoes or outcome in REFUSED) and not force:
        raise ModelError(
            f"The gate refused version {version} of {name}: {gate_reason}.",
            fix="Promote another version, or pass --force.",
        )
    from varjepa.tasks.registry.verify import verify  # imports what opens a model, after the name has been checked

    verify(f"{REGISTRY}{name}/{number}", uri)  # a version that cannot be read must not become the champion
    with registry_lock(place, name):
        before = champion_of(client, name)
        moved = before != version
        if moved and not dry_run:
            reason = f"promoted by hand{' with --force' if force else ''}; {gate_reason}"
            move_champion(client, name, version, by="promote", reason=reason)
    verdict: VerdictAnswer = {
        "outcome": outcome,
        "vetoes": vetoes,
        "reason": gate_reason,
    }
    answer = _answer(name, version, before, moved=moved, dry_run=dry_run)
    return {**answer, "gate": verdict, "forced": force}


def rollback(name: str, uri: str | None, *, steps: int, dry_run: bool) -> MoveAnswer:
    """Makes an earlier champion the champion again; returns what was done.

    Args:
        name: registered model.
        uri: tracking store; None means the default one.
        steps: number of champions to go back; deleted versions do not count.
        dry_run: change nothing; return what would be done.

    Raises:
        ModelError: there is no such model, it has had too few champions, or the earlier one cannot be read.
    """
    place = store(uri)
    name, _ = registered_version(f"models:/{name}@{CHAMPION}", uri)
    client = client_for(place)
    with registry_lock(place, name):
        events, before = history(client, name), champion_of(client, name)
        line = succession(events)
        if line[-1:] != [before] and before is not None:  # the alias was moved by other means
            line.append(before)
        alive = {int(version.version) for version in versions_of(client, name)}
        places = [place for place, version in enumerate(line[:-1]) if version in alive]
        if len(places) < steps:
            raise ModelError(
                f"{name} has no champion {steps} step{'s' * (steps > 1)} before version {before}; "
                f"{_earlier(line[:-1], alive)}.",
                fix=f"`varjepa models {name}` shows the history. `varjepa promote` accepts any version.",
            )
        back = places[-steps]
        version, taken = line[back], len(line) - 1 - back
        _require_readable(name, version, steps, uri)
        if not dry_run:
            reason = f"rolled back by {steps} step{'s' * (steps > 1)}"
            move_champion(client, name, version, by="rollback", reason=reason, steps=taken)
    return {**_answer(name, version, before, moved=True, dry_run=dry_run), "steps": steps}


def _earlier(champions: Sequence[int], alive: Collection[int]) -> str:
    """What is left of the champions before the current one, in words.

    Examples:
        >>> _earlier([], {3}), _earlier([1, 2], {2, 3}), _earlier([1], {3})
        ('it is the first champion', 'before it: "2"', 'the champions before it are deleted: "1"')
    """
    if not champions:
        return "it is the first champion"
    left = [version for version in dict.fromkeys(champions) if version in alive]
    words = "before it" if left else "the champions before it are deleted"
    return f"{words}: {listed(map(str, left or dict.fromkeys(champions)))}"


def _require_readable(name: str, version: int, steps: int, uri: str | None) -> None:
    """Checks an earlier champion before it becomes the champion again."""
    from varjepa.tasks.registry.verify import verify

    try:
        verify(f"{REGISTRY}{name}/{version}", uri)
    except ModelError as error:
        raise ModelError(
            f"{name} cannot go back to version {version}: {error}", fix=f"Try --steps {steps + 1}."
        ) from error


def _answer(name: str, version: int, before: int | None, *, moved: bool, dry_run: bool) -> MoveAnswer:
    return {
        "name": name, "version": version, "uri": f"models:/{name}/{version}", "before": before,
        "moved": moved and not dry_run, "dry_run": dry_run,
    }  # fmt: skip
