"""Errors of readers about a file, as messages for people."""

import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import polars as pl
import zstandard

from varjepa.errors import DataError, listed

DAMAGED = "The file may be truncated or damaged: download or export it again."

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)


@contextmanager
def readable(path: object) -> Iterator[None]:
    """Turns errors of a reader about a damaged file into a `DataError` that names the file."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise empty(path) from None
    except pl.exceptions.DuplicateError as error:  # of Parquet and Arrow; text and spreadsheets are looked at before
        named = re.search(r"'(.*)'", str(error))
        raise _duplicates([named[1]] if named else [], path) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:  # a panic is no `Exception`
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read: {reason}.", fix=_fix(reason)) from error
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read: {str(error).rstrip('.')}.", fix=DAMAGED) from error


def require_different(names: Iterable[str], file: object) -> None:
    """Checks that no name occurs twice.

    Raises:
        DataError: some do.
    """
    duplicates = sorted(name for name, times in Counter(names).items() if times > 1)
    if duplicates:
        raise _duplicates(duplicates, file)


def _duplicates(names: Sequence[str], file: object) -> DataError:
    return DataError(
        f"{file} has duplicate column names: {listed(names)}.",
        expected="Expected every column name once.",
        fix="Rename or remove the copies in the header line.",
    )


def _fix(reason: str) -> str:
    """What to do about an error of Polars: most are of damaged files, but it does not know decimals of 256 bits."""
    if reason.startswith("precision must be between"):
        return "A column holds decimals of more digits than are read: write it as floating-point numbers."
    return DAMAGED


def require_names(values: Sequence[str], file: object, word: str) -> None:
    """Checks that a table has a header.

    Args:
        values: names that look like values; none if there is a header.
        file: as its user knows it.
        word: for the first cells of the file, such as line.

    Raises:
        DataError: there are some.
    """
    if values:
        raise DataError(
            f"{file} seems to have no header: its first {word} holds values, such as {values[0]}.",
            expected=f"Expected a {word} of names before the rows.",
            fix="Add one, or set data.header to false for the names column_1, column_2, ...; true if these are names.",
        )


def empty(path: object) -> DataError:
    """The error about a file without a byte or without a header."""
    return DataError(f"{path} is empty.", expected="Expected a header line and rows.")
