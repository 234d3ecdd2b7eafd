"""Waits for a tracking store that does not answer: in words, for a limited time, and without MLflow's tracebacks."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from varjepa.background import End, accompanied_by
from varjepa.errors import VarjepaError
from varjepa.interruption import signals_held
from varjepa.redaction import redacted_uri
from varjepa.tasks.steps.files import disk_trouble
from varjepa.tasks.steps.log import log

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds; the default of `tracking.patience`."""

WORD_SECONDS = 10.0
"""Seconds between two words to a waiting user."""

PAUSE_SECONDS = 1.0

LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""MLflow's own patience with a server: one more attempt. It would wait for seven minutes without a word."""

PASSING = ("database is locked", "failed with exception", "connection refused", "connection reset", "timed out",
           "max retries exceeded", "server closed the connection", "error code 502", "error code 503",
           "error code 504", "could not connect", "connection aborted")  # fmt: skip
"""How MLflow and its databases say that a store does not answer at the moment."""

_lost: set[str] = set()
"""Stores that did not answer in time; nobody waits for them again until they answer."""


class TrackingLostError(VarjepaError):
    """The tracking store did not answer in time. Its run stays open, and the next start resumes it."""

    def __init__(self, uri: str, seconds: float, error: BaseException) -> None:
        reason = " ".join(str(error).replace(uri, redacted_uri(uri)).split())[:200]
        super().__init__(
            f"The tracking store {redacted_uri(uri)} has not answered for {seconds:.0f} seconds: {reason}.",
            fix="Once it answers, run the same command again to resume. tracking.patience sets how long to wait.",
        )


class PatientClient:
    """An MLflow client whose calls wait for a store that does not answer.

    Args:
        client: of MLflow.
        uri: of the store.
        seconds: to wait for an answer.
    """

    def __init__(self, client: "MlflowClient", uri: str, seconds: float) -> None:
        self._client, self._uri, self._seconds = client, uri, seconds

    def __getattr__(self, name: str) -> Any:
        """A method of the client that waits, or another attribute."""
        value = getattr(self._client, name)
        if not callable(value):
            return value

        @wraps(value)
        def called(*args: Any, **kwargs: Any) -> Any:
            return patiently(lambda: value(*args, **kwargs), self._uri, self._seconds)

        return called


def limit_mlflow() -> None:
    """Replaces MLflow's patience and its tracebacks by ours; variables that are set stay."""
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def patiently(call: Callable[[], T], uri: str, seconds: float = PATIENCE) -> T:
    """Calls something that uses a tracking store; again while the store does not answer.

    Args:
        call: that may be made more than once.
        uri: of the store.
        seconds: to wait for an answer.

    Raises:
        TrackingLostError: there was none in time.
    """
    began = time.monotonic()
    with accompanied_by(partial(_tell_of_the_wait, uri), name="tracking"):
        while True:
            try:
                with signals_held():  # a transaction that is cut off may keep its lock
                    answer = call()
            except Exception as error:
                if not may_answer_again(error):
                    raise
                if uri in _lost or time.monotonic() - began > seconds:
                    _lost.add(uri)
                    raise TrackingLostError(uri, time.monotonic() - began, error) from error
            else:
                _lost.discard(uri)
                return answer
            time.sleep(PAUSE_SECONDS)


def may_answer_again(error: BaseException) -> bool:
    """Whether an error says that the store does not answer at the moment.

    Examples:
        >>> may_answer_again(ConnectionRefusedError()), may_answer_again(KeyError("run"))
        (True, False)
    """
    if disk_trouble(error) is not None:
        return False
    text = str(error).lower()
    known = isinstance(error, ConnectionError | TimeoutError)
    known |= getattr(error, "error_code", "") == "TEMPORARILY_UNAVAILABLE"
    return known or (not isinstance(error, VarjepaError) and any(words in text for words in PASSING))


def _tell_of_the_wait(uri: str, end: End) -> None:
    """Says every few seconds that somebody still waits for a store."""
    began = time.monotonic()
    while not end.wait(WORD_SECONDS):
        log.info("waiting for the tracking store %s for %.0f s", redacted_uri(uri), time.monotonic() - began)
