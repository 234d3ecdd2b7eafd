"""Folders for files on their way from elsewhere. What a killed process left there is removed by the next one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock, Timeout

from varjepa.config.uris import is_local
from varjepa.tasks.steps.reuse import WORK

PREFIX = "stage-"


@contextmanager
def stage_for(path: str) -> Iterator[Path]:
    """A folder that lives as long as the block, for tables that are not local files."""
    if is_local(path):
        yield WORK  # nothing is staged
        return
    with staged() as folder:
        yield folder


@contextmanager
def staged() -> Iterator[Path]:
    """A folder that lives as long as the block."""
    WORK.mkdir(parents=True, exist_ok=True)
    remove_abandoned()
    folder = Path(mkdtemp(prefix=PREFIX, dir=WORK)).absolute()
    # The lock ends with the process, also if it is killed.
    with FileLock(folder.with_suffix(".lock")):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)


def remove_abandoned() -> None:
    """Removes the folders of processes that were killed."""
    for lock_file in WORK.glob(f"{PREFIX}*.lock"):
        with suppress(Timeout, OSError), FileLock(lock_file, timeout=0):
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)
