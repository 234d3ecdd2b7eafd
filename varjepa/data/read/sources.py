"""Opens tables lazily: files, folders, globs, OpenML and the built-in SIM table."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import polars.selectors as cs

from varjepa.config import DataSection
from varjepa.config.data import ColumnSection
from varjepa.data.files.damage import readable
from varjepa.data.files.found import find_files
from varjepa.data.files.opened import open_files
from varjepa.data.files.types import GLANCE
from varjepa.data.read.identifiers import is_unnamed
from varjepa.data.read.sim_table import sim_table
from varjepa.data.spelling.read import Reread, spelled, spelled_otherwise
from varjepa.errors import DataError, listed

__all__ = ["GLANCE", "ROW", "Source", "open_path", "open_source", "readable", "source_files"]

ROW = "__row__"
"""Column that numbers the rows of the source from 0."""


@dataclass(frozen=True)
class Source:
    """An opened table.

    Attributes:
        frame: its rows, not read yet.
        files: the opened files; empty for generated and downloaded tables.
        description: for messages and pages.
        notes: what was unusual about the files, as sentences.
        columns: how columns are spelled that are not in the plain spelling.
        words: the same in words.
        doubts: how columns are read that may be read in another way.
    """

    frame: pl.LazyFrame
    files: tuple[Path, ...]
    description: str
    notes: tuple[str, ...] = ()
    columns: dict[str, ColumnSection] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)

    def checked(self) -> "Source":
        """The same, if no column has a reserved name.

        Raises:
            DataError: there is one.
        """
        names = self.frame.collect_schema().names()
        reserved = [name for name in names if name.startswith("__") and name.endswith("__") and not is_unnamed(name)]
        if reserved:
            raise DataError(
                f"{self.description} has columns named {listed(reserved)}.",
                expected="Names like __this__ are reserved.",
                fix="Rename them in the file.",
            )
        return self

    def spelled(self, data: DataSection, text: Collection[str] | None = None, reread: Reread | None = None) -> "Source":
        """The same with cells read as they are meant; see `varjepa.data.spelling.read.spelled`."""
        cells = spelled(self.frame, data, text, reread)
        return replace(self, frame=cells.frame, columns=cells.columns, words=cells.words, doubts=cells.doubts)


def open_source(data: DataSection) -> Source:
    """Opens the table that the configuration names. CSV files are read once to determine the types of their columns.

    Raises:
        DataError: no such file, an unknown or mixed format, duplicate column names, or no network for OpenML.
    """
    if data.path is not None:
        return open_path(data.path, data)
    if data.name == "sim":
        rows = data.rows or 10_000
        frame = sim_table(rows=rows, seed=data.split.seed).lazy()
        return Source(frame, (), f"built-in SIM table, {rows:,} rows, seed {data.split.seed}")
    return _open_openml(str(data.name), data.version).spelled(data)


def source_files(path: str) -> tuple[Path, ...]:
    """A file, or all files of one format in a folder or glob, in the order of their names, unopened.

    Raises:
        DataError: there are none, or they have an unknown or mixed format.
    """
    return find_files(path).files


def open_path(path: str, data: DataSection, text: Collection[str] | None = None) -> Source:
    """Opens the table in these files.

    Args:
        path: a file, a folder or a glob.
        data: settings that overrule what is found out about the files.
        text: for a finished model, the columns that it learned as text; None to find out how columns are spelled.

    Raises:
        DataError: see `open_source`.
    """
    told = spelled_otherwise(data)
    opened = open_files(path, data, text or (), told)
    with readable(path):
        source = Source(opened.frame, opened.files, path, opened.notes).checked()

    def reread(names: Collection[str]) -> pl.LazyFrame:
        return open_files(path, data, text or (), {*told, *names}).frame

    with readable(path):
        return source.spelled(data, text, reread if opened.delimited else None)


def _open_openml(name: str, version: int) -> Source:
    from sklearn.datasets import fetch_openml  # noqa: PLC0415 (costs seconds, needed here alone)

    try:
        bunch = fetch_openml(name=name, version=version, as_frame=True, parser="auto")
    except (OSError, ValueError) as error:
        raise DataError(
            f'The OpenML data set "{name}" (version {version}) cannot be fetched: {error}.',
            fix="Check the name and the network, or give a local file: --set data.path=FILE.",
        ) from error
    frame = pl.from_pandas(bunch.frame)
    categorical = [column for column, dtype in frame.schema.items() if dtype in (pl.Categorical, pl.Enum)]
    return Source(frame.with_columns(cs.by_name(categorical).cast(pl.String)).lazy(), (), f"OpenML {name}, {version}")
