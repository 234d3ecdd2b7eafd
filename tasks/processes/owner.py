"""Whose something is: the host and the process that make it, so that what a killed process left is told from work."""

import os
import socket
from collections.abc import Mapping
from contextvars import ContextVar

import psutil

HOST, PROCESS = "varjepa.host", "varjepa.process"
"""Tags of runs: the machine's name, and a process of it as `pid@start`."""

OWNER = "VARJEPA_OWNER"
"""Environment variable that tells the children of a flow whose they are."""

ASKED = "varjepa.asked"
"""Tag of a run for whose answer a command waits; gone when the answer was given."""

waiting: ContextVar[list[tuple[str, str]] | None] = ContextVar("waiting", default=None)
"""Store and id of the runs that the command at work has opened; None outside of one."""

SLACK = 2.0
"""Seconds by which the start of one process may seem to move: the clock of a machine is set now and then."""


def this_process() -> str:
    """This process as `pid@start`; a process number alone is used again."""
    return f"{os.getpid()}@{psutil.Process().create_time():.2f}"


def owner_tags() -> dict[str, str]:
    """Tags for what this process makes."""
    return {HOST: socket.gethostname(), PROCESS: this_process()}


def lives(process: str) -> bool:
    """Whether a process of this machine is still there.

    Args:
        process: as `this_process` gives it.

    Examples:
        >>> lives(this_process()), lives(f"{os.getpid()}@1.00")
        (True, False)
    """
    pid, _, started = process.partition("@")
    try:
        found = psutil.Process(int(pid))
        return abs(found.create_time() - float(started)) < SLACK and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def abandoned(tags: Mapping[str, str]) -> bool:
    """Whether a process of this host made it that is no more; False where that cannot be known."""
    return tags.get(HOST) == socket.gethostname() and PROCESS in tags and not lives(tags[PROCESS])


def end_children_of_the_dead() -> None:
    """Ends temporary Prefect servers and training processes whose flow was killed: nobody else knows them."""
    for child in psutil.process_iter():
        try:
            words = " ".join(child.cmdline())
            if "prefect.server.api.server:create_app" not in words and "tasks.retrain.worker" not in words:
                continue
            owner = child.environ().get(OWNER)
            if owner is not None and not lives(owner):
                child.kill()
        except psutil.Error:  # gone meanwhile, or somebody else's
            continue
