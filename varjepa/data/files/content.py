"""The format of a file, told by its first bytes. Names count only where they promise what the content is not."""

import json
import re
from pathlib import Path

from varjepa.data.files.damage import DAMAGED, empty
from varjepa.errors import DataError

HEAD = 1 << 16
"""Bytes at the start of a file that tell its format."""

PACKED = {
    b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip",
}  # fmt: skip
"""First bytes -> compression."""

_TABLES = {
    b"PAR1": "parquet", b"ARROW1": "ipc", b"\xff\xff\xff\xff": "ipc stream",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "excel",
}  # fmt: skip

_REFUSED = {
    b"SQLite format 3\x00": "an SQLite database", b"ORC": "an ORC file", b"Obj\x01": "an Avro file",
    b"\x89HDF": "an HDF5 file", b"%PDF": "a PDF document", b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive", b"\x04\x22\x4d\x18": "an LZ4 file", b"\x89PNG": "an image", b"\xff\xd8\xff": "an image",
    b"GIF8": "an image", b"\x93NUMPY": "a NumPy array", b"FEA1": "a Feather file of version 1",
    b"PARE": "an encrypted Parquet file", b"PK\x05\x06": "an empty zip archive", b"$FL2": "an SPSS file",
    b"$FL3": "an SPSS file", b"<stata_dta>": "a Stata file", b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle", b"\x80\x05": "a Python pickle", b"\x7fELF": "a program", b"RDX": "an R data file",
    b"version https://git-lfs": "a pointer of Git LFS in place of the file (git lfs pull fetches it)",
}  # fmt: skip

_MARKUP = re.compile(rb"\s*<(!doctype|html|\?xml|table|head|body)\b", re.IGNORECASE)
_PROMISED = {".parquet": "Parquet", ".pq": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow"}
_OBJECTS = (".json", ".jsonl", ".ndjson")
"""Endings of names that promise JSON."""

_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b")) + b"\x7f"


def compression_of(head: bytes) -> str | None:
    """The compression of a file with these first bytes, or None."""
    # A PK header may belong to a spreadsheet, too: `unpack` looks inside.
    return next((name for magic, name in PACKED.items() if head.startswith(magic)), None)


def format_of(file: Path, head: bytes) -> str:
    """parquet, ipc, ipc stream, excel, json lines, json or csv, of a file that is not compressed.

    Args:
        file: for messages, and for the format that its name promises.
        head: its first `HEAD` bytes.

    Raises:
        DataError: the file is empty, has a format that is not read, or is no table at all.
    """
    if not head:
        raise empty(file)
    for magic, name in _TABLES.items():
        if head.startswith(magic):
            return name
    for magic, name in _REFUSED.items():
        if head.startswith(magic):
            raise _no_table(file, f"is {name}")
    if head[257:262] == b"ustar":
        raise _no_table(file, "is a tar archive")
    if (promised := _PROMISED.get(file.suffix.lower())) is not None:
        raise DataError(f"{file} cannot be read: it is not {promised}, as its name says.", fix=DAMAGED)
    return _format_of_text(file, head)


def _format_of_text(file: Path, head: bytes) -> str:
    if _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise _no_table(file, "is a page of HTML or XML")
    if _is_binary(head):
        raise _no_table(file, "is a binary file of an unknown format")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"\[\s*(\{|\]\s*$)", text):
        return "json"
    if re.match(rb'\{\s*("|\}\s*(\n|$))', text):
        if _is_json_object(text.splitlines()[0]) or len(text.splitlines()[0]) >= HEAD // 2:
            return "json lines"
        raise DataError(
            f"{file} holds JSON over several lines.",
            expected="Expected one JSON object per line, or an array of objects.",
            fix="Write it as JSON lines, for example with `jq -c '.[]'`.",
        )
    if file.suffix.lower() in _OBJECTS:
        raise DataError(
            f"{file} holds no JSON objects, as its name says.",
            expected="Expected one JSON object per line, or an array of objects.",
            fix="If it is delimited text, give it the ending .csv.",
        )
    return "csv"


def _is_json_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _is_binary(head: bytes) -> bool:
    """More than a hundredth of control characters, unless every second byte is NUL, as in UTF-16."""
    controls = len(head) - len(head.translate(None, _CONTROL))
    zeros = max(head[0::2].count(0), head[1::2].count(0))
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff")) or zeros > len(head) / 4
    # NUL bytes that a crash left behind are no reason to refuse a text.
    return not wide and controls - head.count(0) > max(2, len(head) / 100)


def _no_table(file: Path, what: str) -> DataError:
    return DataError(
        f"{file} {what}.",
        expected="Expected delimited text, Parquet, Arrow, Excel or JSON lines, also compressed.",
        fix="Export the table as CSV or Parquet.",
    )
