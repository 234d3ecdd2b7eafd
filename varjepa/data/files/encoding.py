"""The character encoding of text files."""

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path

import charset_normalizer

from varjepa.data.files.content import HEAD
from varjepa.errors import DataError

_CHUNK = 1 << 22
_SAMPLE = 1 << 16
"""Bytes of lines with accents that are shown to the detector."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip

_NAMES = {
    "cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
}  # fmt: skip

STRAY_BYTES = "varjepa_stray_bytes"
"""Error handler that reads single bytes in a UTF-8 text which are not UTF-8 as Windows-1252."""

_SIGNS = "".join(bytes([code]).decode("cp1252") for code in (*range(0x82, 0x8A), 0x8B, *range(0xA1, 0xC0), 0xD7, 0xF7))
_ODD = re.compile("[a-zß-ÿ][À-ÖØ-ÞŠŽŒŸ]|[A-Za-zÀ-ÿ][" + re.escape(_SIGNS) + "][A-Za-zÀ-ÿ]|[À-ÖØ-öø-ÿ]{3}")
"""What a text of western Europe does not contain: capitals or signs inside words, runs of accents."""


def _stray_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 (the handler is used for decoding only)
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", errors="replace"), error.end


codecs.register_error(STRAY_BYTES, _stray_byte)


def encoding_of(file: Path, wanted: str | None) -> tuple[str, str, str | None]:
    """The encoding, the error handler for decoding, and a note where it is not plain UTF-8.

    The whole file is looked at, because the first accent may come late.

    Args:
        file: text.
        wanted: `data.encoding`.

    Raises:
        DataError: `wanted` is unknown, or the file is not written in it.
    """
    if wanted is not None:
        return _declared(file, wanted), "strict", None
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    wide = marked or _without_mark(head)
    if wide not in (None, "utf-8-sig"):
        return str(wide), "strict", f"Read as {_NAMES[str(wide)]}."
    right, wrong, sample = _accents(file)
    if not wrong:
        return marked or "utf-8", "strict", None
    if marked or right > 10 * wrong:
        what = "1 byte is not UTF-8 and was" if wrong == 1 else f"{wrong:,} bytes are not UTF-8 and were"
        return marked or "utf-8", STRAY_BYTES, f"{what} read as Windows-1252."
    guess = _guess(sample)
    return guess, "strict", f"Read as {_NAMES.get(guess, guess)}; data.encoding sets another encoding."


def _declared(file: Path, wanted: str) -> str:
    try:
        name = codecs.lookup(wanted).name
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # base64 and its like are no encodings of text
    except LookupError:
        raise DataError(
            f'data.encoding is "{wanted}", which is unknown.', expected="Expected a name such as utf-8 or cp1252."
        ) from None
    with file.open("rb") as stream:
        head = stream.read(4)
    return "utf-8-sig" if name == "utf-8" and head.startswith(codecs.BOM_UTF8) else name


def _without_mark(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: every second byte of Latin text is NUL."""
    half = max(1, len(head) // 2)
    even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _accents(file: Path) -> tuple[int, int, bytes]:
    """Numbers of characters beyond ASCII that are UTF-8 and of bytes that are not, and a sample of their lines."""
    right = wrong = 0
    sample = b""
    for chunk in _chunks(file):
        if chunk.isascii():
            continue
        try:
            chunk.decode()
            right += sum(chunk.count(lead) for lead in (b"\xc3", b"\xc2", b"\xe2")) + 1
        except UnicodeDecodeError:
            text = chunk.decode(errors="surrogateescape")
            errors = sum(1 for char in text if "\udc80" <= char <= "\udcff")
            wrong += errors
            right += sum(1 for char in text if char > "\x7f") - errors
        if len(sample) < _SAMPLE:
            lines = [line for line in re.split(rb"[\r\n]+", chunk) if not line.isascii()]
            sample += b"\n".join(lines)[: _SAMPLE - len(sample)]
    return right, wrong, sample


def _chunks(file: Path) -> Iterator[bytes]:
    """Parts of the file that cut no character; they end with a line where they hold an end of one."""
    rest = b""
    with file.open("rb") as stream:
        while block := stream.read(_CHUNK):
            rest += block
            # A line may be longer than a block: then it ends before the first byte of a character.
            cut = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1 or _before_last_character(rest)
            yield rest[:cut]
            rest = rest[cut:]
    yield rest


def _before_last_character(text: bytes) -> int:
    """Where the last character of a text in UTF-8 begins; the end of a text that is not in UTF-8."""
    starts = (at for at in range(1, 5) if at <= len(text) and text[-at] & 0xC0 != 0x80)
    return len(text) - next(starts, 0)


def _guess(sample: bytes) -> str:
    """Windows-1252 where the text then looks western, else what the detector says."""
    try:
        western = sample.decode("cp1252")
        likely = "cp1252"
    except UnicodeDecodeError:
        western, likely = sample.decode("latin-1"), "latin-1"
    accents = sum(1 for char in western if char > "\x7f")
    if len(_ODD.findall(western)) <= 0.05 * accents and not re.search("[\x80-\x9f]", western):
        return likely
    best = charset_normalizer.from_bytes(sample).best()
    if best is None or best.encoding in ("ascii", "utf_8"):
        return likely
    return codecs.lookup(best.encoding).name
