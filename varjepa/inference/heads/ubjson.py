"""Reads XGBoost's UBJSON with every length checked against the bytes that are there.

XGBoost's own reader is written for files that it wrote itself; bytes from elsewhere are read here first.
Format: https://ubjson.org, with the 64-bit integers and typed arrays that XGBoost writes.
"""

import struct
from typing import Any

import numpy as np

from varjepa.evaluation.arrays import Floats, Ints

NUMBERS = {"i": "b", "U": "B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
"""Markers of numbers, and their formats in `struct` and numpy: big-endian."""

LENGTH = struct.Struct(">q")

PLAIN = {"Z": None, "T": True, "F": False}

DEEPEST = 32
"""Most levels; XGBoost writes about eight."""

Value = dict[str, "Value"] | list["Value"] | Floats | Ints | str | float | int | bool | None


class Reader:
    """A place in some bytes.

    Args:
        data: the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def whole(self) -> Value:
        """The one value that all bytes hold.

        Raises:
            ValueError: they are no UBJSON.
        """
        try:
            value = self._value(self._marker(), DEEPEST)
        except (struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"the trees are no UBJSON: {error}") from error
        if self.place != len(self.data):
            raise ValueError("the trees are no UBJSON: bytes are left over")
        return value

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.place:
            raise ValueError("the trees are no UBJSON: they end too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def _marker(self) -> str:
        marker = self._peek()
        self.place += 1
        return marker

    def _number(self, marker: str) -> Any:
        if marker not in NUMBERS:
            raise ValueError(f"the trees are no UBJSON: {marker!r} is no number")
        form = NUMBERS[marker]
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _length(self) -> int:
        # Nine of ten values have one: this is where the time goes while a service loads a new version.
        place, self.place = self.place, self.place + 1 + LENGTH.size
        if self.data[place : place + 1] != b"L" or self.place > len(self.data):
            raise ValueError("the trees are not as XGBoost writes them: a length has another type, or is missing")
        return int(LENGTH.unpack_from(self.data, place + 1)[0])

    def _text(self) -> str:
        return self._take(self._length()).decode("utf-8")

    def _value(self, marker: str, depth: int) -> Value:
        if depth == 0:
            raise ValueError("the trees are no UBJSON: they are too deep")
        match marker:
            case "{":
                return self._object(depth - 1)
            case "[":
                return self._array(depth - 1)
            case "S":
                return self._text()
            case "Z" | "T" | "F":
                return PLAIN[marker]
        return self._number(marker)

    def _object(self, depth: int) -> dict[str, Value]:
        content: dict[str, Value] = {}
        while self._peek() != "}":
            name = self._text()
            if name in content:  # two readers may each take another of them
                raise ValueError(f"the trees are no UBJSON: {name[:40]!r} comes twice")
            content[name] = self._value(self._marker(), depth)
        self.place += 1
        return content

    def _array(self, depth: int) -> Value:
        if self._peek() == "$":
            return self._typed()
        # XGBoost writes the length of other arrays, too, and then no end.
        if self._peek() == "#":
            self.place += 1
            length = self._length()
            if not 0 <= length <= len(self.data) - self.place:
                raise ValueError("the trees are no UBJSON: they end too early")
            return [self._value(self._marker(), depth) for _ in range(length)]
        values = []
        while self._peek() != "]":
            values.append(self._value(self._marker(), depth))
        self.place += 1
        return values

    def _typed(self) -> Floats | Ints:
        self.place += 1
        marker = self._marker()
        if marker not in NUMBERS or self._marker() != "#":
            raise ValueError("the trees are no UBJSON: an array of unknown type")
        form, length = np.dtype(NUMBERS[marker]), self._length()
        return np.frombuffer(self._take(length * form.itemsize), dtype=form)

    def _peek(self) -> str:
        if self.place >= len(self.data):
            raise ValueError("the trees are no UBJSON: they end too early")
        return chr(self.data[self.place])
