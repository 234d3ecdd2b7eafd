"""One fast pass over the bytes of a CSV file: may Polars read it as it is, and may a whole number be a code?

Polars reads blank lines as rows, fills short rows in silence and loses its way at quotes inside cells. This pass finds
files that have any of it, at the speed of memory, so that only they take the slow way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHUNK = 1 << 18
_LF, _CR, _QUOTE, _ZERO = 10, 13, 34, 48

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass
class Regularity:
    """What the pass found.

    Attributes:
        regular: every row has as many cells as the header, quotes are doubled or around whole cells, and there are
            no blank lines, NUL bytes or lone carriage returns.
        place: of the bytes that begin with the first irregular rows.
        leading_zeros: some cell begins with 0 and another digit. Only numbers outside of this need no second look.
    """

    regular: bool = True
    place: int = 0
    leading_zeros: bool = False


def regularity(file: Path, separator: str, width: int, *, stop: bool = True) -> Regularity:
    """Looks at all bytes of a file in UTF-8.

    Args:
        file: delimited text with `"` as its quote.
        separator: one ASCII character.
        width: number of columns.
        stop: at the first irregularity, because the rest is then read in another way.
    """
    found, separators, rows, inside = Regularity(), 0, 0, False
    for chunk in _whole_lines(file):
        counted = _count(chunk, ord(separator), inside=inside, zeros=not found.leading_zeros)
        separators += counted.separators
        rows += counted.rows
        inside = counted.inside
        found.leading_zeros |= counted.zeros
        found.regular &= counted.regular
        if stop and not found.regular:
            return found
        found.place += len(chunk) if found.regular else 0
    found.regular &= not inside and separators == rows * (width - 1)
    return found


def _whole_lines(file: Path) -> Iterator[bytes]:
    """The file in parts that end with a line feed. One is added at the end if it is missing."""
    rest = b""
    with file.open("rb") as stream:
        while block := stream.read(_CHUNK):
            cut = block.rfind(b"\n") + 1
            if cut:
                yield rest + block[:cut] if rest else block[:cut]
                rest = block[cut:]
            else:
                rest += block
    if rest:
        yield rest + b"\n"


@dataclass
class _Counted:
    separators: int
    rows: int
    inside: bool
    zeros: bool
    regular: bool


def _count(chunk: bytes, separator: int, *, inside: bool, zeros: bool) -> _Counted:
    data = np.frombuffer(chunk, np.uint8)
    regular = b"\0" not in chunk
    between, ends = data == separator, data == _LF
    starts = between | ends
    if inside or b'"' in chunk:
        # Even where it is outside of quotes: a quote itself belongs to neither side here.
        quotes = data == _QUOTE
        outside = (np.cumsum(quotes, dtype=np.uint8) & 1) == int(inside)
        regular &= _quotes_fit(data, quotes, starts, inside=inside)
        inside = not outside[-1]
        between &= outside
        ends &= outside
        starts |= quotes
        lone = (data[:-1] == _CR) & (data[1:] != _LF) & outside[:-1] if b"\r" in chunk else np.zeros(1, bool)
        regular &= not lone.any()
    elif b"\r" in chunk:
        regular &= chunk.count(b"\r") == chunk.count(b"\r\n")
    regular &= not _has_blank_line(chunk, ends)
    # A zero after a separator, a line end or a quote, before another digit.
    codes = zeros and bool((starts[:-2] & (data[1:-1] == _ZERO) & (data[2:] - np.uint8(_ZERO) < 10)).any())
    codes |= zeros and chunk[:1] == b"0" and chunk[1:2].isdigit()
    return _Counted(int(np.count_nonzero(between)), int(np.count_nonzero(ends)), inside, codes, bool(regular))


def _quotes_fit(data: Bytes, quotes: Flags, starts: Flags, *, inside: bool) -> bool:
    """Every quote opens a cell at its start, closes one at its end, or is one of a pair inside a quoted cell."""
    places = np.flatnonzero(quotes)
    opening, closing = (places[1::2], places[0::2]) if inside else (places[0::2], places[1::2])
    before = opening[opening > 0] - 1
    after = closing + 1
    return bool(
        (starts[before] | quotes[before]).all() and (starts[after] | quotes[after] | (data[after] == _CR)).all()
    )


def _has_blank_line(chunk: bytes, ends: Flags) -> bool:
    """True if a line feed outside of quotes follows another or starts the chunk, which begins with a row."""
    # Comparing arrays is ten times as fast as searching for two bytes.
    blank = bool(ends[0]) or bool((ends[1:] & ends[:-1]).any())
    if b"\r" in chunk:
        blank |= chunk.startswith(b"\r\n") or b"\n\r\n" in chunk  # in quotes, too: the slow way tells them apart
    return blank
