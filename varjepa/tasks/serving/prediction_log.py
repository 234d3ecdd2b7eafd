"""The log of predictions: Parquet files of limited size, which `varjepa drift` and `varjepa evaluate` read."""

import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from varjepa.data.cells import by_name
from varjepa.data.mixed import mixed_as_text
from varjepa.tasks.steps.log import log

PREFIX = "predictions-"

MOST_ROWS, EVERY = 10_000, 60.0
"""Rows, and seconds, after which a file is written."""

OWN = ("version", "role", "time")
"""Columns that the log adds; columns of a row that have such a name are left out."""


class PredictionLog:
    """Gathers answers and writes them in files, the oldest of which are removed.

    Args:
        folder: of the files.
        keep: columns of the rows that stand beside the answers; ("*",) for all.
        most_bytes: of all files together.
    """

    def __init__(self, folder: Path, keep: tuple[str, ...], most_bytes: int) -> None:
        self.folder, self.keep, self.most_bytes = folder, keep, most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._parts: list[pl.DataFrame] = []
        self._rows, self._number = 0, 0
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_writing, name="prediction-log", daemon=True)
        self._thread.start()

    def add(self, version: str, role: str, moment: float, rows: pl.DataFrame, answer: pl.DataFrame) -> None:
        """Adds the answer to some rows.

        Args:
            version: that has answered.
            role: answer or shadow.
            moment: seconds since 1970.
            rows: of the request.
            answer: to them.
        """
        names = rows.columns if self.keep == ("*",) else [name for name in self.keep if name in rows.columns]
        kept = rows.select(by_name([name for name in names if name not in {*OWN, *answer.columns}]))
        time = datetime.fromtimestamp(moment, UTC)
        facts = pl.DataFrame({"version": [version], "role": [role], "time": [time]})
        beside = pl.concat([facts] * rows.height) if rows.height else facts.clear()
        with self._lock:
            self._parts.append(pl.concat([beside, kept, answer], how="horizontal"))
            self._rows += rows.height
            full = self._rows >= MOST_ROWS
        if full:
            self.write()

    def write(self) -> None:
        """Writes what was gathered. What cannot be written is dropped with a warning: answers go on."""
        with self._lock:
            parts, self._parts, self._rows = self._parts, [], 0
            if not parts:
                return
            self._number += 1
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            file = self.folder / f"{PREFIX}{stamp}-{os.getpid()}-{self._number:06}.parquet"
            try:
                unfinished = file.with_suffix(".unfinished")
                _together(parts).write_parquet(unfinished)
                unfinished.replace(file)
                self._limit()
            except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                log.warning("%d answers are missing in the prediction log: %s", len(parts), error)

    def _limit(self) -> None:
        """Removes the oldest files beyond the limit; the newest one stays."""
        files = sorted(self.folder.glob(f"{PREFIX}*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        total = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if total <= self.most_bytes:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)

    def _keep_writing(self) -> None:
        while not self._end.wait(EVERY):
            self.write()

    def close(self) -> None:
        """Writes the rest."""
        self._end.set()
        self.write()


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of several requests. Columns whose types do not go together are text: one request spoils no others'."""
    try:
        return pl.concat(parts, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        types: dict[str, set[pl.DataType]] = {}
        for name, dtype in (item for part in parts for item in part.schema.items()):
            types.setdefault(name, set()).add(dtype)
        mixed = {name for name, found in types.items() if len(found) > 1}
        texts = [part.with_columns(mixed_as_text(name, part[name]) for name in part.columns if name in mixed)
                 for part in parts]  # fmt: skip
        return pl.concat(texts, how="diagonal")
