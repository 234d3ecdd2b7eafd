"""Flows of Prefect that also run as plain functions, if there is no server to record them."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, cast

import httpx
from prefect import Flow
from prefect.context import FlowRunContext
from prefect.settings import get_current_settings

from varjepa.errors import SetupError
from varjepa.redaction import redacted
from varjepa.tasks.orchestration.temporary_server import any_server, temporary_server
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import go_without, one_run, without_orchestration

_P = ParamSpec("_P")
_R = TypeVar("_R")

ANSWER_SECONDS = 15


def flow(**options: Any) -> Callable[[Callable[_P, _R]], "RecordedFlow[_P, _R]"]:
    """Makes a Prefect flow of a function, which stays a plain function where no server answers.

    Args:
        options: of `prefect.Flow`.
    """
    return lambda function: RecordedFlow(function, **options)


class RecordedFlow(Flow[_P, _R]):
    """A Prefect flow whose result does not depend on the server that records it.

    If no server answers at the start, the flow and its tasks run as plain functions. If the server is lost before the
    end, the result counts, although it is not recorded.
    """

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:  # type: ignore[override]  # never with return_state
        """Runs the flow and returns its result."""
        with one_run():
            return self._run(*args, **kwargs)

    def _run(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if FlowRunContext.get() is None:
            with recorder():
                return self._recorded(*args, **kwargs)
        return self._recorded(*args, **kwargs)

    def _recorded(self, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if without_orchestration():
            return self.fn(*args, **kwargs)
        kept, recorded = _Kept(self.fn), copy.copy(self)
        recorded.fn = kept.called
        try:
            return cast("_R", super(RecordedFlow, recorded).__call__(*args, **kwargs))
        except Exception as error:
            if kept.results:
                log.warning("Prefect's server did not record the end of this run: %s", error)
                return kept.results[0]
            if kept.begun or not isinstance(error, (httpx.HTTPError, RuntimeError)):
                raise
            go_without(f"Prefect's server cannot record this run: {error}.")
            return self.fn(*args, **kwargs)

    def with_options(self, **options: Any) -> "RecordedFlow[_P, _R]":
        """The same flow with other options of `prefect.Flow`."""
        changed = super().with_options(**options)
        changed.__class__ = type(self)
        return changed  # type: ignore[return-value]  # its class has just been set


class _Kept(Generic[_R]):
    """Calls a function and keeps its result.

    Attributes:
        called: the function to call instead.
        begun: whether it was called.
        results: its result, if it has returned.
    """

    def __init__(self, function: Callable[..., _R]) -> None:
        self.begun, self.results = False, list[_R]()

        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> _R:
            self.begun = True
            self.results.append(function(*args, **kwargs))
            return self.results[0]

        self.called = called


@contextmanager
def recorder() -> Iterator[None]:
    """Around flows: waits for Prefect's server. Without one, flows of this run are plain functions from now on."""
    _require_recorder()
    with nullcontext() if without_orchestration() else any_server():
        yield


def _require_recorder() -> None:
    settings = get_current_settings()
    if without_orchestration():
        return
    if (url := settings.api.url) is not None:
        try:
            require_answer(url, seconds=ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            go_without(f"Prefect's server {redacted(url)} does not answer ({error}).")
    elif settings.server.ephemeral.enabled:
        try:
            temporary_server().start()
        except (SetupError, RuntimeError, OSError) as error:
            go_without(str(error))
    else:
        go_without("Prefect has no server (PREFECT_SERVER_EPHEMERAL_ENABLED is off).")
