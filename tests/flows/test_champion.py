"""One registered name, many who change it at once: no change is lost, and there is exactly one champion."""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from varjepa.tasks.registry.champion import Event, history, rolled_back, succession

NAME, VERSIONS, WORKERS = "crowd", 9, 3

MODEL = Path(__file__).parent / "registered_by_40547f5" / "t_jepa" / "model"
"""A version must be readable before it becomes the champion."""


def forks() -> ForkServerContext:
    """Starts processes that share one import of what they need, which takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "varjepa.tasks.registry.promote", "mlflow.pyfunc",
                                    "mlflow.store.tracking.sqlalchemy_store"])  # fmt: skip
    return context


def uri_of(folder: Path, migrated: Path) -> str:
    (folder / "mlflow.db").write_bytes(migrated.read_bytes())
    return f"sqlite:///{folder}/mlflow.db"


def registered(uri: str, versions: int) -> None:
    from varjepa.tasks.tracking.store import client_for

    client, model = client_for(uri), shutil.copytree(MODEL, Path(uri.removeprefix("sqlite:///")).with_name("model"))
    client.create_registered_model(NAME)
    for number in range(versions):
        client.create_model_version(NAME, str(model), description=f"number {number}")


def move(uri: str, version: int) -> int:
    """Promotes one version and, every third time, takes a step back; how often the champion changed."""
    from varjepa.tasks.registry.promote import promote, rollback

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
        pool = ProcessPoolExecutor(WORKERS, mp_context=forks())
    with pool:
        moved = 1 + sum(pool.map(partial(move, uri), range(2, VERSIONS + 1)))
    from varjepa.tasks.tracking.store import client_for

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
    from varjepa.tasks.registry.promote import promote, rollback
    from varjepa.tasks.tracking.store import client_for

    uri = uri_of(tmp_path, migrated)
    registered(uri, 3)
    for version in (1, 2, 3):
        promote(f"models:/{NAME}/{version}", uri, force=False, dry_run=False)
    client_for(uri).delete_model_version(NAME, "2")
    assert rollback(NAME, uri, steps=1, dry_run=False)["version"] == 1
    assert succession(history(client_for(uri), NAME)) == [1]


def dies(uri: str, version: int, changes: int) -> None:
    """Promotes a version in a process that is killed before its nth change."""
    from mlflow import MlflowClient

    from varjepa.tasks.registry.champion import move_champion

    class Mortal(MlflowClient):
        left = changes

        def _change(self, change: Callable[..., Any], *arguments: Any) -> Any:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return change(*arguments)

        def set_registered_model_tag(self, *arguments: Any) -> Any:
            return self._change(super().set_registered_model_tag, *arguments)

        def delete_registered_model_tag(self, *arguments: Any) -> Any:
            return self._change(super().delete_registered_model_tag, *arguments)

        def set_registered_model_alias(self, *arguments: Any) -> Any:
            return self._change(super().set_registered_model_alias, *arguments)

    move_champion(Mortal(uri), NAME, version, by="promote", reason="by hand")


@pytest.mark.parametrize("changes", range(5))
def test_history_and_alias_agree_wherever_a_move_dies(changes: int, tmp_path: Path, migrated: Path) -> None:
    from varjepa.tasks.registry.champion import champion_of, move_champion
    from varjepa.tasks.tracking.store import client_for

    uri = uri_of(tmp_path, migrated)
    registered(uri, 3)
    client = client_for(uri)
    move_champion(client, NAME, 1, by="retrain", reason="the first")
    process = forks().Process(target=dies, args=(uri, 2, changes))
    process.start()
    process.join()
    assert process.exitcode == (-signal.SIGKILL if changes < 4 else 0)
    champion = champion_of(client, NAME)
    assert champion == (1 if changes < 2 else 2)
    assert history(client, NAME)[-1].version == champion
    move_champion(client, NAME, 3, by="promote", reason="next")
    chain = [(event.version, event.before, event.by) for event in history(client, NAME)]
    second = [(2, 1, "promote")] if champion == 2 else []
    assert chain == [(1, None, "retrain"), *second, (3, champion, "promote")]
    assert not [key for key in client.get_registered_model(NAME).tags if "pending" in key]
