"""The mark of a folder that a process uses."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from varjepa.tasks.steps.in_use import PREFIX, mark_in_use, used_since

THREADS, FOLDERS = 4, 50


def test_threads_that_begin_at_once_leave_one_mark(tmp_path: Path) -> None:
    """The second of two steps that began in one moment failed: its lock belonged to the first."""
    together = Barrier(THREADS, timeout=30)  # once one has failed, the others do not wait for it

    def mark(_: int) -> None:
        for number in range(FOLDERS):
            together.wait()
            mark_in_use(folders[number])

    folders = [tmp_path / str(number) for number in range(FOLDERS)]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(mark, range(THREADS)))
    for folder in folders:
        (made,) = folder.glob(f"{PREFIX}*.lock")
        assert used_since(folder) == made.stat().st_mtime
