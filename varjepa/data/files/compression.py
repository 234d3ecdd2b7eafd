"""Compressed files: gzip, zstd, xz, bzip2 and zip archives with one table inside."""

import bz2
import gzip
import io
import lzma
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import zstandard

from varjepa.data.files.content import HEAD, compression_of, format_of
from varjepa.data.files.damage import readable
from varjepa.data.files.stage import Stage
from varjepa.errors import DataError, listed

_OPENERS: dict[str, Callable[..., Any]] = {
    "gzip": gzip.open, "xz": lzma.open, "bzip2": bz2.open, "zstd": lambda place, _: _ZstdFrames(place),
}  # fmt: skip

_BLOCK = 1 << 18
"""Compressed bytes that are taken at a time."""

_DEPTH = 3
"""Compressions around each other that are undone, such as a gzip file in a zip archive."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
"""Methods of packing in zip archives that are undone."""

_SPREADSHEET = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
"""Members that make a zip archive a spreadsheet of Excel or OpenDocument."""


def unpacked(file: Path, stage: Stage) -> tuple[Path, str]:
    """The file itself or its decompressed copy, and its format.

    Raises:
        DataError: the file is empty, damaged or no table, or an archive does not hold exactly one file.
    """
    place = file
    for _ in range(_DEPTH):
        with readable(file):
            kind, opened = _inside(place, file)
            if kind is not None:
                return place, kind
            if opened is None:
                break
            copy = stage.place(file.name)
            with opened() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            if stage.holds(place):
                place.unlink()
            place = copy
    raise DataError(f"{file} is compressed more than {_DEPTH} times.", fix="Unpack it first.")


def format_inside(file: Path) -> str:
    """The format of a file or of what is compressed in it, from its first bytes.

    Raises:
        DataError: see `unpacked`.
    """
    with readable(file):
        kind, opened = _inside(file, file)
        if kind is not None or opened is None:
            return str(kind)
        with opened() as source:
            head = source.read(HEAD)
    # A compression in a compression is undone later; such files are rare, and text as a rule.
    return "csv" if compression_of(head) else format_of(_bare(file), head)


def _inside(place: Path, file: Path) -> tuple[str | None, Callable[..., Any] | None]:
    """Of an uncompressed file its format, of another how to open what is in it."""
    with place.open("rb") as stream:
        head = stream.read(HEAD)
    packed = compression_of(head)
    if packed is None:
        return format_of(file if place == file else _bare(file), head), None
    if packed != "zip":
        return None, lambda: _OPENERS[packed](place, "rb")
    try:
        with zipfile.ZipFile(place) as archive:
            members = archive.namelist()
            if any(name in members for name in _SPREADSHEET):
                return "excel", None
            member = _only_table(archive, file)
    except UnicodeDecodeError as error:
        raise zipfile.BadZipFile("a name in the archive is not in UTF-8, as the archive says") from error
    return None, lambda: _member(place, member)


def _bare(file: Path) -> Path:
    """The name without the ending of a compression: what is inside may promise a format, too."""
    return file.with_suffix("") if file.suffix.lower() in (".gz", ".zst", ".xz", ".bz2", ".zip") else file


def _only_table(archive: zipfile.ZipFile, file: Path) -> str:
    """The name of the one file in an archive, leaving out what operating systems add."""
    names = [
        entry.filename for entry in archive.infolist()
        if not entry.is_dir() and "__MACOSX/" not in entry.filename and not Path(entry.filename).name.startswith(".")
    ]  # fmt: skip
    if len(names) != 1:
        holds = f"holds {len(names)} files: {listed(names)}" if names else "holds no file"
        raise DataError(f"{file} {holds}.", expected="Expected an archive of one table.", fix="Unpack it first.")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise DataError(f"{file} is encrypted.", fix="Unpack it first.")
    if archive.getinfo(names[0]).compress_type not in _METHODS:
        raise DataError(
            f"{file} is packed by a method that is not read, such as Deflate64, by which Windows packs large files.",
            fix="Unpack it first.",
        )
    return names[0]


class _ZstdFrames(io.RawIOBase):
    """What zstd frames hold. The readers of the library pass over a frame that is cut."""

    def __init__(self, place: Path) -> None:
        self._stream = place.open("rb")
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._started, self._rest, self._ready = False, b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._decompress():
            pass
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _decompress(self) -> bool:
        """Takes the next block of the file. False at its end."""
        block = self._rest or self._stream.read(_BLOCK)
        self._rest = b""
        if not block:
            if self._started:
                raise EOFError("the last zstd frame is cut")
            return False
        self._ready = self._frame.decompress(block)
        self._started = not self._frame.eof
        if self._frame.eof:
            self._rest = self._frame.unused_data
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return True

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def _member(place: Path, name: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(place) as archive, archive.open(name) as stream:
        yield stream
