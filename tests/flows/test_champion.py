"""One registered name, many who change it at once: no change is lost, and there is exactly one champion."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tasks.registry.champion import Event, history, rolled_back, succession

NAME, VERSIONS, WORKERS = "crowd", 9, 3


def uri_of(folder: Path, migrated: Path) -> str:
    (folder / "mlflow.db").write_bytes(migrated.read_bytes())
    return f"sqlite:///{folder}/mlflow.db"


def registered(uri: str, versions: int) -> None:
    from tasks.tracking.store import client_for

    client = client_for(uri)
    client.create_registered_model(NAME)
    for number in range(versions):
        client.create_model_version(NAME, f"file:///nowhere/{number}")


def move(uri: str, version: int) -> int:
    """Promotes one version and, every third time, takes a step back; how often the champion changed."""
    from tasks.registry.promote import promote, rollback

    moved = promote(f"models:/{NAME}/{version}", uri, force=False, dry_run=False)["moved"]
    if version % 3 == 0:
        moved += rollback(NAME, uri, steps=1, dry_run=False)["moved"]
    return moved


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_moves_at_once_follow_one_another(kind: str, tmp_path: Path, migrated: Path) -> None:
    uri = uri_of(tmp_path, migrated)
    registered(uri, VERSIONS)
    assert move(uri, 1) == 1  # so that there is always somebody to go back to
    if kind == "threads":
        pool: ThreadPoolExecutor | ProcessPoolExecutor = ThreadPoolExecutor(WORKERS)
    else:
        pool = ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn"))
    with pool:
        moved = 1 + sum(pool.map(partial(move, uri), range(2, VERSIONS + 1)))
    from tasks.tracking.store import client_for

    client = client_for(uri)
    events = history(client, NAME)
    assert len(events) == moved == VERSIONS + VERSIONS // 3
    assert "outside" not in {event.by for event in events}
    # Every change saw the one before it: a lost update would break the chain.
    assert [event.before for event in events] == [None, *(event.version for event in events[:-1])]
    aliases = client.get_registered_model(NAME).aliases.items()
    assert [(alias, int(version)) for alias, version in aliases] == [("champion", events[-1].version)]


def event(version: int, by: str, before: int | None = None, steps: int = 0) -> Event:
    return Event(version, before, by, "", "", "", steps)  # type: ignore[arg-type]


def test_rollbacks_go_back_through_those_who_are_left() -> None:
    first = [event(1, "retrain"), event(2, "retrain"), event(3, "promote")]
    back = [*first, event(2, "rollback", 3, steps=1)]
    assert succession(back) == [1, 2]
    assert succession([*back, event(1, "rollback", 2, steps=1)]) == [1]
    assert succession([*back, event(4, "retrain", 2)]) == [1, 2, 4]
    assert succession([*first, event(1, "rollback", 3, steps=2), event(2, "promote", 1)]) == [1, 2]
    assert succession([*back, event(3, "outside", 2)]) == [1, 2, 3]
    assert succession([]) == []


def test_a_version_is_rolled_back_until_it_is_promoted_again() -> None:
    back = [event(1, "retrain"), event(2, "retrain", 1), event(1, "rollback", 2, steps=1)]
    assert rolled_back(back, 2) == back[-1]
    assert rolled_back(back, 1) is None
    assert rolled_back([*back, event(2, "promote", 1)], 2) is None


def test_a_version_that_was_deleted_is_stepped_over(tmp_path: Path, migrated: Path) -> None:
    from tasks.registry.promote import promote, rollback
    from tasks.tracking.store import client_for

    uri = uri_of(tmp_path, migrated)
    registered(uri, 3)
    for version in (1, 2, 3):
        promote(f"models:/{NAME}/{version}", uri, force=False, dry_run=False)
    client_for(uri).delete_model_version(NAME, "2")
    assert rollback(NAME, uri, steps=1, dry_run=False)["version"] == 1
    assert succession(history(client_for(uri), NAME)) == [1]
