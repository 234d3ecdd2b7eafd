"""A Parquet or CSV file that appears only when it is complete."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.data.cells import retyped
from varjepa.data.files.formulas import for_spreadsheets
from varjepa.errors import ConfigError
from varjepa.tasks.steps.files import full_disk_in_words

OUTPUTS = (".parquet", ".csv")

BETWEEN = "; "
"""Between the words of a list in CSV."""


class TableWriter:
    """Appends frames of one schema to a Parquet or CSV file."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._parquet: Any = None
        self._schema: pl.Schema | None = None
        self._text = path.open("wb") if path.suffixes[-2:] == [".csv", ".part"] else None

    def write(self, frame: pl.DataFrame) -> None:
        """Appends rows. Columns are cast to the types of the first frame, for example if all cells are null here.

        Raises:
            NoRoomError: the disk of the file takes no more.
        """
        schema = self._schema or frame.schema
        frame = retyped(frame, schema) if frame.schema != schema else frame
        with full_disk_in_words(self.path.parent):
            if self._text is not None:
                text = for_spreadsheets(as_text(frame))
                text.write_csv(self._text, include_header=self._schema is None, datetime_format=_moments_of(text))
            else:
                self._write_parquet(frame)
        self._schema = schema
        self.rows += frame.height

    def _write_parquet(self, frame: pl.DataFrame) -> None:
        from pyarrow import parquet

        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._parquet is None:
            self._parquet = parquet.ParquetWriter(self.path, table.schema, compression="zstd")
        self._parquet.write_table(table)

    def close(self) -> None:
        """Finishes the file."""
        with full_disk_in_words(self.path.parent):
            for stream in (self._parquet, self._text):
                if stream is not None:
                    stream.close()


def _moments_of(frame: pl.DataFrame) -> str | None:
    """How times are written: a fraction of a second only where there is one. None where a zone must be said, too."""
    zones = [dtype for dtype in frame.dtypes if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None]
    return None if zones else "%Y-%m-%dT%H:%M:%S%.f"


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists of words as text separated by semicolons, because CSV has no lists."""
    lists = [name for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)]
    return frame.with_columns(pl.col(lists).list.join(BETWEEN))


def require_file(out: Path, *, force: bool, append: bool = False) -> None:
    """Checks that a file may be written.

    Raises:
        ConfigError: an unknown file extension, a missing folder, an existing file without `force`, or `append`.
    """
    if append:
        raise ConfigError(f"{out} is a file.", expected="--append needs a Delta table or a database.")
    if out.suffix not in OUTPUTS:
        raise ConfigError(f"{out} has an unknown file extension.", expected=f"Expected {' or '.join(OUTPUTS)}.")
    if not out.parent.is_dir():
        raise ConfigError(f"The folder {out.parent} does not exist.", fix="Create it, or choose another folder.")
    if out.exists() and not force:
        raise ConfigError(f"{out} already exists.", fix="Choose another name, or pass --force to overwrite it.")


@contextmanager
def table_writer(out: Path, *, force: bool, append: bool = False) -> Iterator[TableWriter]:
    """Opens OUT for writing. The file is created or replaced only if the block ends without an error.

    Raises:
        ConfigError: see `require_file`.
    """
    require_file(out, force=force, append=append)
    part = out.with_name(out.name + ".part")
    with _alone(part, out):
        writer = TableWriter(part)
        try:
            yield writer
            writer.close()
            require_file(out, force=force)  # somebody else may have written it meanwhile
        except BaseException:
            with suppress(Exception):
                writer.close()
            part.unlink(missing_ok=True)
            raise
        part.replace(out)


@contextmanager
def _alone(part: Path, out: Path) -> Iterator[None]:
    """Keeps the unfinished file for this process, as long as it lives. One of a killed process is taken over.

    Raises:
        ConfigError: another process writes it.
    """
    with part.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"Another process is writing {out}.", fix="Wait for it, or choose another name."
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
