"""Which processes use the folder of intermediate results, so that cleaning removes nothing that they need."""

import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from varjepa.tasks.processes.owner import this_process

PREFIX = "using-"
PATIENCE = 10.0
"""Seconds that a cleaning process may hold a mark that it looks at."""

_held: dict[Path, FileLock] = {}
_marking = Lock()
"""Of the threads of this process, one marks a folder: a second lock of the same process would wait for the first."""


def mark_in_use(work: Path) -> None:
    """Marks the folder as used by this process until it ends, also if it is killed."""
    work = work.absolute()
    mark = work / f"{PREFIX}{this_process()}.lock"
    with _marking:
        if work not in _held or _held[work].lock_file != str(mark):  # a forked process needs a mark of its own
            lock = FileLock(mark)
            lock.acquire(timeout=PATIENCE)
            mark.touch()
            _held[work] = lock


def used_since(work: Path) -> float:
    """When the oldest of the living processes began to use the folder, in seconds; the present if there is none.

    Removes the marks of ended processes.
    """
    began = time.time()
    for mark in work.absolute().glob(f"{PREFIX}*.lock"):
        held = _held.get(work.absolute())
        if held is not None and held.lock_file == str(mark):
            began = min(began, mark.stat().st_mtime)
            continue
        try:
            with FileLock(mark, timeout=0):
                mark.unlink(missing_ok=True)
        except Timeout:
            with suppress(FileNotFoundError):  # its process ends just now
                began = min(began, mark.stat().st_mtime)
    return began
