"""Tasks of Prefect that also run as plain functions, if there is no server to record them."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from itertools import repeat
from typing import Any, Generic, ParamSpec, TypeVar, cast

from prefect import Task, unmapped
from prefect.utilities.annotations import opaque

from varjepa.errors import VarjepaError
from varjepa.tasks.processes.signals import interruptions_restored
from varjepa.tasks.steps.files import disk_trouble
from varjepa.tasks.steps.log import log

_P = ParamSpec("_P")
_R = TypeVar("_R")

_reasons: ContextVar[list[str] | None] = ContextVar("reasons", default=None)
"""Why this run does without orchestration; empty if it does not, None outside a run."""


@contextmanager
def one_run() -> Iterator[None]:
    """Around an outermost flow: the next one of this process asks anew whether a server answers."""
    if _reasons.get() is not None:
        yield
        return
    token = _reasons.set([])
    try:
        yield
    finally:
        _reasons.reset(token)


def go_without(reason: str, *, quiet: bool = False) -> None:
    """Executes flows and tasks of this run as plain functions from now on, and says so once, unless `quiet`."""
    reasons = _reasons.get()
    if not reasons and not quiet:
        log.warning("%s The steps run without it: same results, but Prefect has no record of this run.", reason)
    if reasons is not None:
        reasons.append(reason)


def without_orchestration() -> bool:
    """Whether flows and tasks run as plain functions."""
    return bool(_reasons.get())


def task(**options: Any) -> Callable[[Callable[_P, _R]], "StepTask[_P, _R]"]:
    """Makes a Prefect task of a function, which stays a plain function in a process without orchestration.

    Args:
        options: of `prefect.Task`. Runs are named like their task, if nothing else is said: Prefect would add digits.
    """
    named = {"task_run_name": options["name"]} if "name" in options else {}
    return lambda function: StepTask(_with_interruptions(function), **{**named, **options})


def _with_interruptions(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, of which whatever leaves it after a signal is an interruption; other processes may get it."""

    @wraps(function)
    def called(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with interruptions_restored():
            return function(*args, **kwargs)

    return called


class StepTask(Task[_P, _R]):
    """A Prefect task that runs as a plain function where there is no orchestration, with the same retries."""

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:  # type: ignore[override]  # never with return_state
        """Runs the task and returns its result."""
        if without_orchestration():
            return self.plainly(*args, **kwargs)
        # Otherwise Prefect would look for futures in all that the values hold, which are thousands of numbers for some.
        whole: dict[str, Any] = {name: opaque(value) for name, value in kwargs.items()}
        called: Any = super().__call__
        return cast("_R", called(*map(opaque, args), **whole))

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Starts the task; without orchestration, runs it at once."""
        return Done(self.plainly(*args, **kwargs)) if without_orchestration() else super().submit(*args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Starts the task for every item; without orchestration, runs one after the other."""
        if not without_orchestration():
            return super().map(*args, **kwargs)
        items: Iterable[tuple[Any, ...]] = zip(
            *(repeat(arg.value) if isinstance(arg, unmapped) else arg for arg in args), strict=False
        )
        return Done([self.plainly(*item, **kwargs) for item in items])

    def plainly(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Calls the function, again after errors that may pass."""
        function = cast("Callable[_P, _R]", self.fn)
        for _ in range(self.retries):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if not may_pass(error):
                    raise
                log.warning("%s: %s; trying again", self.name, error)
                time.sleep(float(cast("float", self.retry_delay_seconds or 0)))
        return function(*args, **kwargs)


@dataclass(frozen=True)
class Done(Generic[_R]):
    """The result of a task that has run already, with the interface of a future."""

    value: _R

    def result(self, *_: Any, **__: Any) -> _R:
        """The result."""
        return self.value

    def wait(self, *_: Any, **__: Any) -> None:
        """Returns at once."""


def may_pass(error: BaseException) -> bool:
    """Whether a retry may help: a server may answer again, but the user's input stays what it is."""
    if isinstance(error, VarjepaError):
        return error.may_pass
    return isinstance(error, Exception) and disk_trouble(error) is None
