"""Rows from an Arrow stream of strangers: how large it becomes is known before anything in it is unpacked."""

import struct
from collections.abc import Collection, Iterator
from typing import NamedTuple

import polars as pl

from varjepa.errors import DataError, VarjepaError

MOST = 2**28
"""Most bytes of the buffers of a stream, or of the texts of a column, once they are unpacked; most rows, too. A larger
body may become as large as it is."""

RECORDS, DICTIONARY = 3, 2
"""Kinds of messages that hold buffers: a batch of rows, and the values of a dictionary."""

PACKED = b"ARROW:experimental_compression"
"""Stands in the messages of streams that were packed before there was a field that says so."""

CONTINUES = b"\xff\xff\xff\xff"
"""Stands before the length of a message in streams of today, and not in those of before 2019."""


def from_arrow(body: bytes, read: Collection[str]) -> pl.DataFrame:
    """The rows of a stream, without columns of lists and structures that nobody reads.

    Args:
        body: the stream.
        read: columns that must hold single cells.

    Raises:
        DataError: it is no such stream, such a column holds lists or structures, or the rows are too large.
    """
    try:
        _require_small("The body, when it is unpacked,", unpacked_size(body), "bytes", len(body))
        return _read(body, read)
    except VarjepaError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"The body is not valid arrow: {reason[:200]}.") from error


def _read(body: bytes, read: Collection[str]) -> pl.DataFrame:
    import pyarrow as pa

    # Not by Polars: it trusts a stream, and ends the process where the stream asks for more memory than there is.
    table = pa.ipc.open_stream(body).read_all()
    table.validate(full=True)
    nested = [field for field in table.schema if pa.types.is_nested(field.type)]
    for field in nested:
        if field.name in read:
            raise DataError(f'The column "{field.name}" holds {field.type}.', expected="Expected one number or text "
                            "per cell.")  # fmt: skip
    _require_small("The body", table.num_rows, "rows", len(body))
    frame = pl.DataFrame(pl.from_arrow(table.drop_columns([field.name for field in nested])))
    for name, dtype in frame.schema.items():
        if dtype == pl.String:  # cells may share one long text, which is in the body once
            text = int(frame[name].str.len_bytes().sum())
            _require_small(f'The text of the column "{name}"', text, "bytes", len(body))
    return frame


def _require_small(what: str, size: int, unit: str, body: int) -> None:
    if size > (most := max(MOST, body)):
        raise DataError(f"{what} has {size:,} {unit}.", expected=f"Expected {most:,} at most.")


def unpacked_size(body: bytes) -> int:
    """Bytes of all buffers of a stream once they are unpacked, as the stream itself declares them.

    Raises:
        IndexError: the stream is cut off, or none.
        struct.error: likewise.
    """
    return sum(_buffers(message, body, start) for message, start in _messages(body))


class _Table(NamedTuple):
    """A table of FlatBuffers, which Arrow writes its messages in; all numbers have the low byte first.

    Attributes:
        data: that hold it.
        place: of its first byte.
    """

    data: bytes
    place: int

    def field(self, number: int) -> int:
        """The place of a field; 0 if it is not there."""
        listed = self.place - _number("<i", self.data, self.place)
        if 4 + 2 * number >= _number("<H", self.data, listed):
            return 0
        offset = _number("<H", self.data, listed + 4 + 2 * number)
        return self.place + offset if offset else 0

    def inner(self, number: int) -> "_Table":
        """The table that a field refers to."""
        place = self.field(number)
        return _Table(self.data, place + _number("<I", self.data, place))


def _messages(body: bytes) -> Iterator[tuple[_Table, int]]:
    """The messages of a stream, each with the place of its buffers."""
    place = 0
    while place < len(body):
        place += 4 * body.startswith(CONTINUES, place)
        length = _number("<i", body, place)
        if length <= 0:  # the end
            return
        data = body[place + 4 : place + 4 + length]
        message = _Table(data, _number("<I", data, 0))
        place += 4 + length
        yield message, place
        size = message.field(3)
        place += _number("<Q", data, size) if size else 0


def _buffers(message: _Table, body: bytes, start: int) -> int:
    """Bytes of the buffers of one message once they are unpacked."""
    kind = message.field(1)
    kind = message.data[kind] if kind else 0
    if kind not in (RECORDS, DICTIONARY):
        return 0
    batch = message.inner(2)
    batch = batch.inner(1) if kind == DICTIONARY else batch
    if not batch.field(2):
        return 0
    vector, packed, total = batch.inner(2).place, bool(batch.field(3)) or PACKED in message.data, 0
    for number in range(_number("<I", batch.data, vector)):
        offset, length = struct.unpack_from("<qq", batch.data, vector + 4 + 16 * number)
        # A packed buffer begins with its size when it is unpacked; -1 says that it is as it is.
        size = _number("<q", body, start + offset) if packed and length else length
        total += max(size, length)
    return total


def _number(form: str, data: bytes, place: int) -> int:
    return int(struct.unpack_from(form, data, place)[0])
