"""Results of steps are kept in folders named by a digest of their inputs, and reused."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from varjepa.config import result_settings
from varjepa.config.base import Section
from varjepa.tasks.steps.code import code_files, library_versions, source
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.in_use import mark_in_use
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.turns import in_turn

WORK = Path("mlruns/work")
"""Folder of intermediate results; may be deleted while nothing runs."""

DONE = "result.json"

PARTIAL = ("checkpoint.pt", "draft-*/*.parquet")
"""Files of an unfinished step from which another process goes on; each is only ever replaced as a whole."""

_T = TypeVar("_T")
fresh: ContextVar[tuple[str, ...]] = ContextVar("fresh", default=())
"""Part of every folder's name; not empty if results of earlier runs must not be reused."""

_made: ContextVar[set[Path] | None] = ContextVar("made", default=None)
"""Folders of results that this run has made itself, so that messages do not take them for those of earlier runs."""


@contextmanager
def own_results_known() -> Iterator[None]:
    """Around a run: what it makes and then reads again is told apart from what an earlier run has made."""
    token = _made.set(set())
    try:
        yield
    finally:
        _made.reset(token)


def mark_made(folder: Path) -> None:
    """Notes that this run has made the result in `folder`."""
    made = _made.get()
    if made is not None:
        made.add(folder)


class Elsewhere(NamedTuple):
    """Where workers without our folders find a result, and put the parts of the next one.

    Attributes:
        result: address of the folder of a finished step.
        parts: address of a folder for files of the step in progress.
    """

    result: str
    parts: str


class Sharing(Protocol):
    """Where results are shared with other machines; see `varjepa.tasks.work_store`."""

    def turn(self, folder: Path) -> AbstractContextManager[None]:
        """Around one use of a step's folder, under the lock that this machine has for it.

        At its start, it downloads the result into the folder if another machine has made it, or else waits until this
        machine may make it. At its end, it uploads the result that is new.
        """

    def elsewhere(self, finished: Path, folder: Path) -> Elsewhere | None:
        """Addresses for workers on other machines; None if they cannot reach results.

        Args:
            finished: folder of the step that they read from.
            folder: of the step in progress.
        """


class ThisMachine:
    """Results stay on this machine."""

    def elsewhere(self, _finished: Path, _folder: Path) -> Elsewhere | None:
        """See `Sharing.elsewhere`."""
        return None

    def turn(self, _folder: Path) -> AbstractContextManager[None]:
        """See `Sharing.turn`."""
        return nullcontext()


sharing: ContextVar[Sharing] = ContextVar("sharing", default=ThisMachine())  # noqa: B039 (it has no state)
"""What `reuse` asks."""


def digest(*parts: Any) -> str:
    """Digest of plain data, twelve hexadecimal digits."""
    # Sorted keys: the order in which settings were written does not matter.
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def code_digest(module: str) -> str:
    """Digest of the code that a step in `module` runs: our files, and versions of libraries that affect numbers."""
    # Relative paths: a clone in another folder has the same digest.
    root = Path(__file__).parents[3]
    ours = [(str(file.relative_to(root)), source(file)) for file in code_files(module)]
    return digest(ours, library_versions(module))


@dataclass(frozen=True)
class Step:
    """A step of a flow, with the code and settings that its result depends on, besides results of earlier steps.

    Attributes:
        name: of the step, for people.
        module: whose code it runs.
        settings: dotted keys of the configuration that it reads; empty if it reads none.
        without: dotted keys below `settings` that it does not read.
    """

    name: str
    module: str
    settings: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def folder(self, config: Section | None, *inputs: Any) -> Path:
        """The folder of this step's result.

        Args:
            config: of the job; None for a step that reads no settings.
            inputs: further plain data that the result depends on, usually results of earlier steps.
        """
        return step_folder(self.name, {} if config is None else self.read(config), *inputs, code=self.module)

    def read(self, config: Section) -> dict[str, Any]:
        """The settings that the step reads, by dotted key, without those that do not change results."""
        return result_settings(config, *self.settings, without=self.without) if self.settings else {}


def step_folder(step: str, *inputs: Any, code: str) -> Path:
    """The folder of one step for these inputs; the same inputs and code give the same folder.

    Args:
        step: name of the step, for people.
        inputs: plain data that the result depends on.
        code: module of the step.
    """
    return WORK / f"{step}-{digest(code_digest(code), *fresh.get(), *inputs)}"


@contextmanager
def step_lock(folder: Path) -> Iterator[None]:
    """Holds the lock of a step, whose folder is there in the block. Who has waited finds the result of the other one.

    Args:
        folder: of the step; the lock lies beside it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    with in_turn(lock, f"{folder.name.rsplit('-', 1)[0]}: another process works on the same step"):
        folder.mkdir(exist_ok=True)  # now: `varjepa clean` may have removed it meanwhile
        yield


def reuse(folder: Path, result: type[_T], make: Callable[[], _T], *, shared: bool = True) -> _T:
    """Returns the stored result of `make` for this folder, or calls it and stores the result.

    The result is written last and atomically, so an interrupted step is run again. It finds the files that it left in
    the folder, such as a checkpoint. Two processes never run the same step at once, on all machines that share results.

    Args:
        folder: of the step, from `step_folder`.
        result: type of the result, a dataclass of plain data and paths.
        make: computes the result and writes its files into the folder.
        shared: with other machines, if there is a place for that; otherwise each of them computes it.
    """
    adapter = TypeAdapter(result)
    done = folder / DONE
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark_in_use(folder.parent)
    step = folder.name.rsplit("-", 1)[0]
    where = sharing.get() if shared else ThisMachine()
    with step_lock(folder), where.turn(folder):
        if done.is_file():
            try:
                value = adapter.validate_json(done.read_bytes())
            except ValidationError:  # the machine lost its power before the file was on the disk
                log.warning("%s: the result in %s cannot be read, so it is made again", step, folder)
            else:
                os.utime(done)  # the time of its last use, for `varjepa clean`
                why = "made earlier in this run" if folder in (_made.get() or ()) else "nothing has changed"
                log.info("%s: %s, reusing %s", step, why, folder)
                return value
        log.info("%s starts", step)  # on a large table, minutes may pass before the next message
        value = make()
        # Not `dump_json`, which writes NaN and infinity as null and cannot read it back as a number.
        write_text(done, json.dumps(adapter.dump_python(value, mode="json")))
        mark_made(folder)
        return value


@contextmanager
def afresh(wanted: bool = True) -> Iterator[None]:  # noqa: FBT001, FBT002 (its only argument)
    """Runs every step in the block again, without results of earlier runs. Does nothing if that is not `wanted`."""
    if not wanted:
        yield
        return
    token = fresh.set((digest(time.time_ns()),))
    try:
        yield
    finally:
        fresh.reset(token)
