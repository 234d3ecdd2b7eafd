"""The owner of runs and servers: host and process. It distinguishes leftovers of killed processes from work."""

import os
import socket
from collections.abc import Mapping
from contextvars import ContextVar

import psutil

HOST, PROCESS = "varjepa.host", "varjepa.process"
"""Tags of runs: the host name, and the process as `pid@start`."""

OWNER = "VARJEPA_OWNER"
"""Environment variable that names the owner to the child processes of a flow."""

ASKED = "varjepa.asked"
"""Tag of a run whose result a command has not printed yet; removed once it has."""

waiting: ContextVar[list[tuple[str, str]] | None] = ContextVar("waiting", default=None)
"""Store and id of the runs that the current command has opened; None outside of a command."""

SLACK = 2.0
"""Tolerance in seconds for the start time of a process, because the system clock may be adjusted."""


def this_process() -> str:
    """This process as `pid@start`. A process number alone is not unique, because it is reused."""
    return f"{os.getpid()}@{psutil.Process().create_time():.2f}"


def owner_tags() -> dict[str, str]:
    """Owner tags for what this process creates."""
    return {HOST: socket.gethostname(), PROCESS: this_process()}


def lives(process: str) -> bool:
    """Whether a process of this machine is still running.

    Args:
        process: in the format of `this_process`.

    Examples:
        >>> lives(this_process()), lives(f"{os.getpid()}@1.00")
        (True, False)
    """
    pid, _, started = process.partition("@")
    try:
        running = psutil.Process(int(pid))
        return abs(running.create_time() - float(started)) < SLACK and running.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def abandoned(tags: Mapping[str, str]) -> bool:
    """Whether the owner is a process of this host that has ended; False if unknown."""
    return tags.get(HOST) == socket.gethostname() and PROCESS in tags and not lives(tags[PROCESS])


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
