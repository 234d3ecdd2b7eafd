"""Fingerprints of tables: equal where the rows are the same."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from varjepa.data.files.found import keys_of, name_within
from varjepa.tasks.steps.reuse import digest

TICK_SECONDS = 2.0
"""Coarsest clock of a common file system."""


def file_fingerprint(files: tuple[Path, ...]) -> str:
    """SHA-256 of one file, or of the names and SHA-256s of many; empty for none.

    The names of key=value folders count, also of one file, because they make columns.
    """
    # One file: its plain SHA-256, which `sha256sum` confirms.
    sums = []
    for file in files:
        with file.open("rb") as stream:
            sums.append((name_within(file), hashlib.file_digest(stream, "sha256").hexdigest()))
    if len(sums) <= 1 and not any(map(keys_of, files)):
        return sums[0][1] if sums else ""
    return hashlib.sha256(digest(sums).encode()).hexdigest()


class WatchedFiles:
    """Local files and their fingerprint, and whether they are still the same after they were read.

    Args:
        files: of the table; asked again each time, because a folder may get more of them.
    """

    def __init__(self, files: Callable[[], tuple[Path, ...]]) -> None:
        self.files = files
        self._facts: list[tuple[str, ...]] = []
        self._recent, self._taken = True, ""

    def fingerprint(self) -> str:
        """The fingerprint of what lies there, by the content."""
        files = self.files()
        # Asked before the content is read, so that a change in the meantime is noticed, too.
        self._facts, changed = _facts(files), max((file.stat().st_ctime for file in files), default=0.0)
        self._recent = abs(time.time() - changed) < TICK_SECONDS
        self._taken = file_fingerprint(files)
        return self._taken

    def now(self) -> str:
        """The same if the files were not touched since; otherwise, even if their content was put back, empty."""
        files = self.files()
        if _facts(files) != self._facts:
            return ""
        # Of files that had just been written, a further change may have left the same times.
        return file_fingerprint(files) if self._recent else self._taken


def _facts(files: tuple[Path, ...]) -> list[tuple[str, ...]]:
    """What changes whenever a file is replaced or written to."""
    status = [(file, file.stat()) for file in files]
    return [
        (str(file), *map(str, (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)))
        for file, facts in status
    ]


def fingerprint_of(kind: str, *facts: Any) -> str:
    """Fingerprint of a table that says itself which version it has.

    Args:
        kind: of the place.
        facts: plain data, such as an etag or a number of a version.
    """
    # `digest` is short, and a fingerprint has the length of a SHA-256 everywhere.
    return hashlib.sha256(repr((kind, facts)).encode()).hexdigest()
