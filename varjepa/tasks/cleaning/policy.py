"""What may be removed, and what was."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from varjepa.tasks.answers.registry import RemovedAnswer

MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Policy:
    """What `varjepa clean` keeps.

    Attributes:
        keep: newest versions of each registered model; None keeps all.
        older: what was used within this time is kept; None means a month for what can be made again or was deleted
            already, and that the age of versions and runs does not matter.
        dry_run: only say what would be removed.
        name: the only registered model whose versions may be removed; None means every one.
    """

    keep: int | None = None
    older: timedelta | None = None
    dry_run: bool = False
    name: str | None = None

    @property
    def cutoff(self) -> float:
        """Time in seconds: what was used later is kept."""
        return time.time() - (self.older or MONTH).total_seconds()


@dataclass(frozen=True)
class Removed:
    """Something that was, or would be, removed.

    Attributes:
        kind: such as "work folder".
        name: of the thing.
        size: in bytes; None if unknown.
        why: in words.
    """

    kind: str
    name: str
    size: int | None
    why: str

    def as_answer(self) -> RemovedAnswer:
        """Plain data for `--json`."""
        return {"kind": self.kind, "name": self.name, "bytes": self.size, "why": self.why}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; what disappears meanwhile counts nothing."""
    total = 0
    for file in [path] if path.is_file() else path.rglob("*"):
        try:
            total += 0 if file.is_dir() else file.lstat().st_size
        except FileNotFoundError:
            continue
    return total
