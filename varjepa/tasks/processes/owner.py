"""The owner of runs and servers: host and process. It distinguishes leftovers of killed processes from work."""

import os
import socket
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import psutil

from varjepa.errors import VarjepaError

HOST, PROCESS = "varjepa.host", "varjepa.process"
"""Tags of runs: the host name, and the process as `pid@start`."""

LEASE = "varjepa.lease"
"""Tag of runs of machines that share their work: the turn in which it was made, as `NAME@GENERATION`."""

OWNER = "VARJEPA_OWNER"
"""Environment variable that names the owner to the child processes of a flow."""

ASKED = "varjepa.asked"
"""Tag of a run whose result a command has not printed yet; removed once it has."""

waiting: ContextVar[list[tuple[str, str]] | None] = ContextVar("waiting", default=None)
"""Store and id of the runs that the current command has opened; None outside of a command."""


class Turn(Protocol):
    """The right of this process, among all machines that share their work, to make a model.

    Attributes:
        name: of the right.
        generation: number of its holders so far, this one included.
        lost: whether there is a later holder, because this machine gave no sign of life for too long.
    """

    name: str
    generation: int
    lost: bool


turn: ContextVar[Turn | None] = ContextVar("turn", default=None)
"""That of the current flow; None where machines do not share their work."""


class TakenOverError(VarjepaError):
    """Another machine has taken over the work of this process. Its run belongs to that machine now."""

    def __init__(self) -> None:
        super().__init__(
            "Another machine goes on with this run, because this one gave no sign of life for too long.",
            fix="Nothing has to be done. work.lost_after sets how long others wait.",
        )


def lost_turn() -> bool:
    """Whether another machine goes on with the work of this process."""
    own = turn.get()
    return own is not None and own.lost


def require_turn() -> None:
    """Checks that no other machine has taken over.

    Raises:
        TakenOverError: one has.
    """
    if lost_turn():
        raise TakenOverError


SLACK = 2.0
"""Tolerance in seconds for the start time of a process, where nothing better than the system's clock tells it."""


BOOT = Path("/proc/sys/kernel/random/boot_id")
"""File of Linux with another id after each start of the machine."""


def this_process() -> str:
    """This process as `pid@start`, on Linux `pid@start@ticks.boot`. A number alone is not unique: it is reused."""
    own = f"{os.getpid()}@{psutil.Process().create_time():.2f}"
    return f"{own}@{since_boot}" if (since_boot := _since_boot(os.getpid())) else own


def _since_boot(pid: int) -> str:
    """When a process has started, by a clock that nobody sets, and in which life of the machine; empty if unknown."""
    try:
        # The name of the program stands in parentheses, and may hold any character.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{fields[19]}.{BOOT.read_text(encoding='utf-8')[:8]}"
    except (OSError, IndexError):
        return ""


def owner_tags() -> dict[str, str]:
    """Owner tags for what this process creates."""
    own = turn.get()
    shared = {} if own is None else {LEASE: f"{own.name}@{own.generation}"}
    return {HOST: socket.gethostname(), PROCESS: this_process(), **shared}


def lives(process: str) -> bool:
    """Whether a process of this machine is still running.

    Args:
        process: in the format of `this_process`.

    Examples:
        >>> lives(this_process()), lives(f"{os.getpid()}@1.00")
        (True, False)
    """
    pid, started, since_boot = [*process.split("@"), ""][:3]
    try:
        running = psutil.Process(int(pid))
        # The system's clock may have been set since; all times of psutil move with it.
        found = _since_boot(int(pid)) if since_boot else ""
        same = found == since_boot if found else abs(running.create_time() - float(started)) < SLACK
        return same and running.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def abandoned(tags: Mapping[str, str]) -> bool:
    """Whether the owner is a process of this host that has ended, or has lost its turn to us; False if unknown."""
    if tags.get(HOST) == socket.gethostname() and PROCESS in tags and not lives(tags[PROCESS]):
        return True
    own, (name, _, generation) = turn.get(), tags.get(LEASE, "").rpartition("@")
    return own is not None and name == own.name and int(generation) < own.generation


def end_children_of_the_dead() -> None:
    """Ends temporary Prefect servers and training processes whose flow was killed."""
    for child in psutil.process_iter():
        try:
            words = " ".join(child.cmdline())
            if "prefect.server.api.server:create_app" not in words and "varjepa.tasks.retrain.worker" not in words:
                continue
            owner = child.environ().get(OWNER)
            if owner is not None and not lives(owner):
                child.kill()
        except psutil.Error:  # ended meanwhile, or owned by another user
            continue
