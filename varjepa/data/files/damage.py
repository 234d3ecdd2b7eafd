"""Errors of readers about a file, as messages for people."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl
import zstandard

from varjepa.errors import DataError

DAMAGED = "The file may be truncated or damaged: download or export it again."

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)


@contextmanager
def readable(path: object) -> Iterator[None]:
    """Turns errors of a reader about a damaged file into a `DataError` that names the file."""
    try:
        yield
    except pl.exceptions.NoDataError:
        raise empty(path) from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read: {reason}.", fix=DAMAGED) from error
    except _BROKEN as error:
        raise DataError(f"{path} cannot be read: {str(error).rstrip('.')}.", fix=DAMAGED) from error


def empty(path: object) -> DataError:
    """The error about a file without a byte or without a header."""
    return DataError(f"{path} is empty.", expected="Expected a header line and rows.")
