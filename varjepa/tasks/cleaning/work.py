"""Removes intermediate results that were not used for long, and what ended processes left."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from varjepa.config.durations import in_words
from varjepa.tasks.cleaning.policy import Policy, Removed, size_of
from varjepa.tasks.sources.stages import remove_abandoned
from varjepa.tasks.steps.in_use import PREFIX as MARK
from varjepa.tasks.steps.in_use import used_since
from varjepa.tasks.steps.reuse import WORK
from varjepa.tasks.steps.tracebacks import ERRORS

DOOMED = ".removed"
"""Ending of a folder that is being removed; a process that was killed meanwhile leaves it."""


def clean_work(policy: Policy) -> list[Removed]:
    """Removes folders of steps, lock files and tracebacks that nothing needs.

    A folder is kept if it was used after the cutoff, or after the oldest living process began to use the folder of
    intermediate results: later steps of that process may read it.
    """
    if not policy.dry_run:
        remove_abandoned()
        for half in WORK.glob(f"*{DOOMED}"):
            shutil.rmtree(half, ignore_errors=True)
    cutoff = min(policy.cutoff, used_since(WORK))
    folders = sorted(path for path in WORK.glob("*-*") if path.is_dir())
    removed = [found for folder in folders if (found := _without(folder, cutoff, dry_run=policy.dry_run))]
    return removed + _lock_files(cutoff, policy) + _tracebacks(policy)


def last_use(folder: Path) -> float:
    """When a folder of a step was last written or reused, in seconds."""
    times = [folder.stat().st_mtime]
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            times.append(file.stat().st_mtime)
    return max(times)


def _without(folder: Path, cutoff: float, *, dry_run: bool) -> Removed | None:
    """Removes the folder unless it is in use; another process that wants it waits, and makes it again."""
    lock = folder.with_name(folder.name + ".lock")
    try:
        with FileLock(lock, timeout=0):
            used = last_use(folder)
            if used >= cutoff:
                return None
            removed = Removed("work folder", str(folder), size_of(folder), f"last used {_ago(used)}")
            if not dry_run:
                # Under another name first: a folder that is removed by half must not be taken for a result.
                shutil.rmtree(folder.rename(folder.with_name(folder.name + DOOMED)))
                lock.unlink(missing_ok=True)  # a process that waits for it notices
            return removed
    except (Timeout, FileNotFoundError):  # in use; removed by another process
        return None


def _ago(moment: float) -> str:
    seconds = time.time() - moment
    return f"{seconds / 86400:.0f} days ago" if seconds >= 2 * 86400 else f"{in_words(seconds)} ago"


def _lock_files(cutoff: float, policy: Policy) -> list[Removed]:
    """Locks whose folder is gone."""
    removed = []
    for file in sorted(WORK.glob("*-*.lock")):
        if file.name.startswith(MARK) or file.with_suffix("").exists():
            continue
        with suppress(Timeout, FileNotFoundError):  # in use; removed by another process
            if file.stat().st_mtime >= cutoff:
                continue
            with FileLock(file, timeout=0):
                removed.append(Removed("lock file", str(file), 0, "its folder is gone"))
                if not policy.dry_run:
                    file.unlink(missing_ok=True)
    return removed


def _tracebacks(policy: Policy) -> list[Removed]:
    removed = []
    for file in sorted(ERRORS.glob("varjepa-*.log")):
        with suppress(FileNotFoundError):  # removed by another process
            written = file.stat().st_mtime
            if written < policy.cutoff:
                removed.append(Removed("traceback", str(file), size_of(file), f"written {_ago(written)}"))
                if not policy.dry_run:
                    file.unlink(missing_ok=True)
    return removed
