"""Sends events in the background. A receiver that is down holds nothing up for long, and is said once."""

import logging
import time
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Any

from varjepa.redaction import redacted
from varjepa.tasks.lineage.record import Record, State
from varjepa.tasks.steps.log import log

PATIENCE = 5.0
"""Seconds that the end of a run waits for events that have not been taken yet."""


class Sender:
    """Sends events one after the other, in their order.

    Args:
        emit: sends one event; may fail.
    """

    def __init__(self, emit: Callable[[Any], object]) -> None:
        self.emit, self.queue = emit, SimpleQueue[Any]()
        self.pending, self.changed, self.said = 0, Condition(), False
        Thread(target=self._run, name="lineage", daemon=True).start()

    def put(self, event: Any) -> None:
        """Queues an event."""
        with self.changed:
            self.pending += 1
        self.queue.put(event)

    def wait(self, seconds: float) -> None:
        """Waits until all events have been sent or given up, but not longer than this."""
        end = time.monotonic() + seconds
        with self.changed:
            while self.pending and (left := end - time.monotonic()) > 0:
                self.changed.wait(left)
            if self.pending:
                self.say(f"{self.pending} events were not taken within {seconds:g} s")

    def say(self, why: str) -> None:
        """Logs, once, that events are lost."""
        if not self.said:
            self.said = True
            log.warning("lineage: %s; the run goes on, and this is said once", redacted(why))

    def _run(self) -> None:
        while True:
            event = self.queue.get()
            try:
                self.emit(event)
            except Exception as error:  # noqa: BLE001 (transports are of many kinds)
                self.say(f"an event was not sent: {' '.join(str(error).split())[:300]}")
            with self.changed:
                self.pending -= 1
                self.changed.notify_all()


@cache
def sender() -> Sender | None:
    """The sender of this process; None if there is no client, or its settings are wrong, which is said once."""
    for name in ("openlineage", "urllib3.connectionpool"):  # each attempt of theirs would be a warning of its own
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from openlineage.client import OpenLineageClient

        return Sender(OpenLineageClient().emit)
    except ImportError:
        log.warning("OpenLineage is configured, but not installed. Install it: pip install 'varjepa[lineage]'.")
    except Exception as error:  # noqa: BLE001 (its settings are those of a file of the user)
        log.warning("lineage: OpenLineage's settings cannot be used: %s", redacted(repr(error)))
    return None


def send(record: Record, state: State, reason: str | None = None) -> None:
    """Sends an event about a run; what goes wrong is logged as a warning."""
    sending = sender()
    if sending is None:
        return
    try:
        from varjepa.tasks.lineage.events import event

        sending.put(event(record, state, reason))
    except Exception as error:  # noqa: BLE001 (no run may fail because of an event about it)
        sending.say(f"an event could not be made: {error!r}")


def wait() -> None:
    """Waits for events that are under way."""
    sending = sender()
    if sending is not None:
        sending.wait(PATIENCE)
