"""Opens tables lazily: files, folders, globs, OpenML and the built-in SIM table."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from glob import has_magic
from pathlib import Path

import polars as pl

from varjepa.config import DataSection
from varjepa.data.read.identifiers import is_unnamed
from varjepa.data.read.sim_table import sim_table
from varjepa.errors import DataError, listed, nearest

ROW = "__row__"
"""Column that numbers the rows of the source from 0."""

GLANCE = 5000
"""Number of first rows of a CSV file that propose the types of its columns."""

FORMATS = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
}


@dataclass(frozen=True)
class Source:
    """An opened table.

    Attributes:
        frame: its rows, not read yet.
        files: the opened files; empty for generated and downloaded tables.
        description: for messages and pages.
    """

    frame: pl.LazyFrame
    files: tuple[Path, ...]
    description: str


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
    return _open_openml(str(data.name), data.version)


def source_files(path: str) -> tuple[Path, ...]:
    """A file, or all files of one format in a folder or glob, in the order of their names, unopened.

    Raises:
        DataError: there are none, or they have an unknown or mixed format.
    """
    files = _files(path)
    formats = {_format(file) for file in files}
    if len(formats) > 1:
        raise DataError(
            f"{path} mixes the formats {listed(sorted(formats))}.", expected="Expected files of one format."
        )
    return tuple(files)


def open_path(path: str, data: DataSection) -> Source:
    """Opens the table in these files.

    Raises:
        DataError: see `open_source`.
    """
    files = source_files(path)
    kind = _format(files[0])
    with readable(path):
        if kind == "csv":
            frame = _scan_csv(files, data)
        else:
            scan = pl.scan_parquet if kind == "parquet" else pl.scan_ipc
            frame = scan(list(files))
        columns = frame.collect_schema().names()
    reserved = [name for name in columns if name.startswith("__") and name.endswith("__") and not is_unnamed(name)]
    if reserved:
        raise DataError(
            f"{path} has columns named {listed(reserved)}.", expected="Names like __this__ are reserved.", fix=_RENAME
        )
    return Source(frame, files, path)


def _files(path: str) -> list[Path]:
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if _suffix(file) in FORMATS)
        if not files:
            raise DataError(f"The folder {path} contains no table.", expected=f"Expected files ending in {_endings()}.")
        return files
    if has_magic(path):
        anchor = Path(place.anchor) if place.anchor else Path()
        pattern = str(place.relative_to(anchor))
        files = sorted(file for file in anchor.glob(pattern) if file.is_file())
        if not files:
            raise DataError(f"No file matches {path}.")
        return files
    beside = [str(file) for file in place.parent.iterdir()] if place.parent.is_dir() else []
    raise DataError(f"No such file or folder: {path}.", fix=nearest(str(place), beside) or "Check data.path.")


def _suffix(file: Path) -> str:
    name = file.name.lower()
    return next((ending for ending in sorted(FORMATS, key=len, reverse=True) if name.endswith(ending)), "")


def _format(file: Path) -> str:
    suffix = _suffix(file)
    if not suffix:
        raise DataError(f"{file} has an unknown file extension.", expected=f"Expected one of {_endings()}.")
    return FORMATS[suffix]


def _endings() -> str:
    return ", ".join(FORMATS)


def _scan_csv(files: Sequence[Path], data: DataSection) -> pl.LazyFrame:
    separator = data.separator
    for file in files:
        header = _header_line(file)
        separator = separator or likely_separator(header)
        names = next(csv.reader(io.StringIO(header), delimiter=separator), [])
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise DataError(
                f"{file} has duplicate column names: {listed(duplicates)}.",
                expected="Expected every column name once.",
                fix="Rename or remove the copies in the header line.",
            )
    return _typed(
        partial(
            pl.scan_csv, list(files), separator=separator or ",", null_values=list(data.na_values), try_parse_dates=True
        )
    )


def _typed(scan: Callable[..., pl.LazyFrame]) -> pl.LazyFrame:
    """The rows, with types that fit the whole file. So no unexpected text in the last row stops a run after hours.

    The types of the first rows are tried on all others. That takes a fiftieth of the time that Polars needs to infer
    types from all rows. Polars infers them only if the proposed types do not fit, or if a column has no value in the
    first rows.
    """
    if all(scan(infer_schema_length=0).head(GLANCE).select(pl.all().count()).collect().row(0)):
        frame = scan(infer_schema_length=0, schema_overrides=scan(infer_schema_length=GLANCE).collect_schema())
        with suppress(pl.exceptions.PolarsError):
            frame.select(pl.all().count()).collect(engine="streaming")
            return frame
    return scan(infer_schema_length=0, schema_overrides=scan(infer_schema_length=None).collect_schema())


def _header_line(file: Path) -> str:
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    try:
        with opener(file, "rt", encoding="utf-8-sig", newline="") as stream:
            return stream.readline(1_000_000)
    except UnicodeDecodeError:
        raise _not_utf8(file) from None
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read: {error}.", fix=_DAMAGED) from error


def likely_separator(header: str) -> str:
    """The separator that splits a header line most often; a comma where none does.

    Examples:
        >>> likely_separator("a;b;c")
        ';'
    """
    return max(",;\t|", key=header.count) if header else ","


_RENAME = "Rename them in the file."
_DAMAGED = "The file may be truncated or damaged: download or export it again."


def _not_utf8(path: object) -> DataError:
    return DataError(
        f"{path} is not UTF-8 text.",
        expected="Expected a CSV file in UTF-8.",
        fix="Convert it first, for example with `iconv -f latin1 -t utf-8`.",
    )


@contextmanager
def readable(path: object) -> Iterator[None]:
    """Turns errors of a reader about a damaged file into a `DataError` that names the file."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise DataError(f"{path} is empty.", expected="Expected a header line and rows.") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        if "utf-8" in reason.lower() or "utf8" in reason.lower():
            raise _not_utf8(path) from None
        raise DataError(f"{path} cannot be read: {reason}.", fix=_DAMAGED) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.", fix=_DAMAGED) from error


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
    return Source(frame.with_columns(pl.col(categorical).cast(pl.String)).lazy(), (), f"OpenML {name}, {version}")
