"""Whose turn it is, among all machines, to do some work. A holder that has died is succeeded.

A lease is a row of numbered objects. Number n + 1 can be created once, so exactly one process succeeds the holder of n,
on every kind of store, and after it was released or its holder has not renewed it for too long. How long that is, the
clock of the store says: those of machines may differ.
"""

import json
import socket
import time
from contextlib import suppress
from datetime import datetime
from threading import Event, Thread
from typing import Any

from varjepa.tasks.processes.owner import HOST, PROCESS, abandoned, this_process
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.place import Item, Place

LEASES = "leases"
"""Folder of all leases of a store."""

RENEWALS = 4
"""Renewals within the time after which a holder counts as dead."""

SLACK = 1.0
"""Seconds; stores round the time of a change."""


class Lease:
    """The right of one process to do some work.

    Args:
        place: the store.
        name: of the work.
        lost_after: seconds without a renewal after which the holder counts as dead.
        outage: what is known about the store's answers.

    Attributes:
        generation: number of this holder, from 1; 0 before `take` has succeeded.
        lost: whether another process has succeeded this one, which had not renewed in time.
        holder: host of the process that holds the lease, as `take` has found it.
    """

    def __init__(self, place: Place, name: str, lost_after: float, outage: Outage) -> None:
        self.place, self.name, self.lost_after, self.outage = place, name, lost_after, outage
        self.generation, self.lost, self.holder = 0, False, ""
        self._over = Event()
        self._seen: tuple[str, datetime] | None = None
        self._dead_at = 0.0

    @property
    def folder(self) -> str:
        """Of its objects."""
        return f"{LEASES}/{self.name}"

    @property
    def pause(self) -> float:
        """Seconds between two attempts to take it."""
        return min(2.0, self.lost_after / RENEWALS)

    def take(self) -> bool:
        """Takes the lease if nobody holds it; keeps it until `release` or `forget`, by a thread that renews it."""
        items = self.place.items(self.folder)
        if items and not self._free(items[-1]):
            return False
        number = _number(items[-1]) + 1 if items else 1
        if not self.place.create(self._key(number), self._content()):
            return False
        # Whoever looked long ago may have created an old number again.
        items = self.place.items(self.folder)
        if not items or _number(items[-1]) != number:
            self.place.delete([self._key(number)])
            return False
        self.generation = number
        Thread(target=self._renew, name=f"lease of {self.name}", daemon=True).start()
        self.place.delete(item.key for item in items[:-1])
        return True

    def held(self) -> bool:
        """Whether a living process holds it."""
        items = self.place.items(self.folder)
        return bool(items) and not self._free(items[-1])

    def release(self) -> None:
        """Lets another process take it at once."""
        self._over.set()
        if not self.lost:
            self.place.write(self._key(self.generation), self._content(released=True))

    def forget(self) -> None:
        """Removes it: there is a result, at which everybody looks first."""
        self._over.set()
        if not self.lost:
            items = self.place.items(self.folder)
            # A later one is that of a process which has succeeded this one just now.
            self.place.delete(item.key for item in items if _number(item) <= self.generation)

    def _key(self, number: int) -> str:
        return f"{self.folder}/{number:09}"

    def _content(self, *, released: bool = False) -> bytes:
        facts = {"host": socket.gethostname(), "process": this_process(), "lost_after": self.lost_after}
        return json.dumps(facts | {"released": released}).encode()

    def _free(self, item: Item) -> bool:
        """Whether the newest holder has released the lease, or counts as dead."""
        facts = _facts(self.place.read(item.key))
        self.holder = str(facts.get("host", "unknown"))
        owner = {HOST: self.holder, PROCESS: str(facts.get("process", ""))}
        if facts.get("released") or abandoned(owner):  # a process of this machine that was killed
            return True
        if self._seen != (item.key, item.changed):
            # The store's clock says how old the sign of life is; from then on ours measures.
            age = (self.place.now() - item.changed).total_seconds()
            self._dead_at = time.monotonic() + float(facts.get("lost_after", self.lost_after)) + SLACK - age
            self._seen = item.key, item.changed
        return time.monotonic() >= self._dead_at

    def _renew(self) -> None:
        while not self._over.wait(self.lost_after / RENEWALS):
            self.outage.call(self._renewed)
            if self.lost:
                return

    def _renewed(self) -> None:
        self.place.write(self._key(self.generation), self._content())
        items = self.place.items(self.folder)
        self.lost |= bool(items) and _number(items[-1]) > self.generation
        if self._over.is_set() and not self.lost:  # released meanwhile
            self.place.write(self._key(self.generation), self._content(released=True))


def in_progress(place: Place, since: datetime) -> bool:
    """Whether a process may be at work in a store: it has renewed a lease since then, and has not released it."""
    items = (item for item in place.items(LEASES) if item.changed >= since)
    return any(not _facts(place.read(item.key)).get("released") for item in items)


def _number(item: Item) -> int:
    return int(item.key.rpartition("/")[2])


def _facts(content: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        facts = json.loads(content or b"{}")
        return facts if isinstance(facts, dict) else {}
    return {}
