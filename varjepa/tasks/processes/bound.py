"""Child processes that never outlive the process that started them, even if it is killed."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any

import psutil

from varjepa.tasks.processes.owner import OWNER, lives

PR_SET_PDEATHSIG = 1
"""Number of the operation of Linux's `prctl` that sets the signal a process receives when its parent ends."""

WATCH = 'while kill -0 "$1" && kill -0 "$2"; do sleep 1; done; kill "-$3" "-$2"'
"""Shell program of the watch: waits until the owner $1 or the child $2 ends, then signals the child's group."""

LOOK_SECONDS = 0.5

HELD = (signal.SIGINT, signal.SIGTERM)
"""Signals that a child must not see between its first moment and its own session."""


def start_bound(command: list[str], *, ends_with: int = signal.SIGKILL, **options: Any) -> "subprocess.Popen[Any]":
    """Starts a program in a session of its own, so that it receives no Ctrl-C, and binds its life to this thread's.

    Linux sends the signal when the *thread* that started the program ends. So call it from the main thread, or from
    one that lives as long as the program should. Elsewhere, a small shell program watches this process.

    Args:
        command: program and arguments.
        ends_with: signal that the program receives when this process has ended, however it ended.
        options: of `subprocess.Popen`.
    """
    if sys.platform != "linux":
        process = subprocess.Popen(command, start_new_session=True, **options)  # noqa: S603
        watch(process.pid, ends_with)
        return process
    bind = _bound_to(os.getpid(), ends_with)

    def begin() -> None:
        # What arrived before the child had its own session was meant for this process.
        for number in HELD:
            signal.signal(number, signal.SIG_IGN)
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        bind()

    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        return subprocess.Popen(command, start_new_session=True, preexec_fn=begin, **options)  # noqa: PLW1509, S603 (only system calls; our program)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def watch(child: int, ends_with: int) -> None:
    """Starts a program that signals the process group of `child` once this process has ended."""
    words = ["sh", "-c", WATCH, "watch", str(os.getpid()), str(child), str(int(ends_with))]
    nothing = subprocess.DEVNULL
    subprocess.Popen(words, start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing)  # noqa: S603


def end_all(process: int) -> None:
    """Kills a process and all that it has started."""
    with suppress(psutil.Error):
        parent = psutil.Process(process)
        for one in (*parent.children(recursive=True), parent):
            with suppress(psutil.Error):
                one.kill()


def end_spawned(seconds: float = 12.0) -> None:
    """Ends the processes that this one has started by `multiprocessing`, such as scheduled flow runs.

    They receive SIGTERM, which a flow records, and are killed if they have not ended in time.
    """
    children, until = multiprocessing.active_children(), time.monotonic() + seconds
    for child in children:
        child.terminate()
    for child in children:
        child.join(max(0.0, until - time.monotonic()))
        if child.is_alive() and child.pid is not None:
            end_all(child.pid)


def end_with_parent() -> None:
    """Makes this process end at once when its parent does. For programs that we do not start ourselves."""
    parent, owner = os.getppid(), os.environ.get(OWNER)
    if sys.platform == "linux":
        _bound_to(parent, signal.SIGKILL)()
    else:
        Thread(target=_outlive, args=(parent,), daemon=True).start()
    if owner is not None and not lives(owner):  # it ended before this process could be bound
        os._exit(1)


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _bound_to(parent: int, ends_with: int) -> Callable[[], None]:
    """A function that binds the calling process to `parent`. It only makes system calls, so it may run after a fork."""
    prctl = _libc().prctl

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, int(ends_with))
        if os.getppid() != parent:  # it ended before it could be watched
            os._exit(1)

    return bind


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
