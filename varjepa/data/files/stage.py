"""Temporary copies of files that Polars cannot read as they are. They live as long as the frame that reads them."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

import polars as pl


class Stage:
    """A folder for decoded copies, made when it is first needed and deleted with this object or the process."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._copies = 0

    def place(self, name: str) -> Path:
        """A path for a new copy. `name` helps people who look into the folder; it need not be unique."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="varjepa-"))
            weakref.finalize(self, _delete, self._folder, os.getpid())
        self._copies += 1
        return self._folder / f"{self._copies:05}-{name[-60:]}"

    def holds(self, file: Path) -> bool:
        """True for a copy in this folder."""
        return self._folder is not None and file.parent == self._folder

    def tied(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame. It and all frames derived from it keep the copies."""
        if self._folder is None:
            return frame
        return frame.map_batches(_Kept(self), validate_output_schema=False, streamable=True, slice_pushdown=True)


class _Kept:
    """Passes rows on. The query plan refers to it, and it refers to the stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows


def _delete(folder: Path, process: int) -> None:
    # A forked child must not delete what its parent reads.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
