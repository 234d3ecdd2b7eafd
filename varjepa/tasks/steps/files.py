"""Files that are written completely or not at all, and words for a disk that takes no more."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from varjepa.amounts import file_size
from varjepa.errors import VarjepaError

MIB = 2**20

FULL = {errno.ENOSPC: "is full", errno.EDQUOT: "is full for this user", errno.EROFS: "is read-only",
        errno.EFBIG: "takes no file of this size"}  # fmt: skip
"""Errors of the system -> what they say about the place."""

TEXTS = {"no space left": "is full", "disk is full": "is full", "os error 28": "is full", "quota exceeded": "is full",
         "read-only file system": "is read-only", "readonly database": "is read-only",
         "file too large": "takes no file of this size", "requested and ": "is full",
         "unexpected pos": "is full"}  # fmt: skip
"""The same in the words of libraries, whose errors have no number."""

LITTLE = MIB // 4
"""With fewer free bytes than this, a library that fails to write has probably found the disk full."""

ROOM = 1024 * MIB
"""A disk with more free bytes is not the one that is full."""

WRITERS = ("write", "writing", "unexpected pos", "i/o error")
"""Words of libraries that fail to write and do not say why."""


class NoRoomError(VarjepaError):
    """A disk takes no more."""

    def __init__(self, place: Path | None, how: str, needs: str = "") -> None:
        if place is None:
            found = (
                f"A disk or a device that the command writes to {how}; its folders are not, so it may be the output."
            )
        else:
            usage = shutil.disk_usage(_existing(place))
            free = f"{file_size(usage.free)} of {file_size(usage.total)} are free"
            if not needs and how.startswith("is full") and LITTLE / 2 < usage.free < ROOM:
                free += " now that the file which did not fit is gone again"
            found = f"The disk of {place} {how}: {free}{f', and {needs}' if needs else ''}."
        super().__init__(found, fix="Make room, or work in another folder; then run the same command again to resume.")


def write_text(path: Path, text: str) -> None:
    """Writes a file atomically, also if another process writes the same one.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    # A rename within a folder is atomic; a reader never sees half of the text. The name is that of no file of the user.
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):  # what the user has named; where a disk is full, the system names nothing
            error.filename = str(path)
        raise


def require_room(place: Path, size: int, what: str) -> None:
    """Checks that a disk has room for something large, before the work that makes it.

    Args:
        place: a file or folder, which need not exist yet.
        size: bytes.
        what: for the message, such as "the checkpoint".

    Raises:
        NoRoomError: it has not.
    """
    if shutil.disk_usage(_existing(place)).free < size:
        raise NoRoomError(place, "has too little room", f"{what} takes {file_size(size)}")


@contextmanager
def full_disk_in_words(written: Path | None = None) -> Iterator[None]:
    """Turns errors of the system and of libraries about a full or read-only disk into words that name the place.

    Args:
        written: the only place that is written to; None if there are several, as in a whole command.

    Raises:
        NoRoomError: the disk takes no more.
    """
    try:
        yield
    except VarjepaError:
        raise
    except Exception as error:
        how = disk_trouble(error, written)
        if how is None:
            raise
        raise NoRoomError(written or _place(error), how) from error


def disk_trouble(error: BaseException, written: Path | None = None) -> str | None:
    """What an error, or what caused it, says about a disk that takes no more; None if it says nothing.

    Args:
        error: of the system or of a library.
        written: see `full_disk_in_words`.

    Examples:
        >>> disk_trouble(OSError(errno.ENOSPC, "No space left on device")), disk_trouble(KeyError("a"))
        ('is full', None)
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return FULL[cause.errno]
        text = str(cause).lower()
        for words, how in TEXTS.items():
            if words in text:
                return how
        fails_to_write = isinstance(cause, OSError | RuntimeError) and any(words in text for words in WRITERS)
        if fails_to_write and shutil.disk_usage(_existing(written) if written else _fullest()).free < LITTLE:
            return "is full"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _place(error: BaseException) -> Path | None:
    """The place that an error names; otherwise, of those that every command writes to, the one with the least room.

    None if that one has room and the system says that something is full: the output of the command, for example.
    """
    causes = [cause for cause in _causes(error) if isinstance(cause, OSError)]
    for cause in causes:
        # Of a copy: the file that is written, and the one that is read. Of a copied folder: its first file that failed.
        copied = cause.args[0][0][1:2] if isinstance(cause, shutil.Error) and isinstance(cause.args[0], list) else ()
        for name in (*copied, cause.filename2, cause.filename):
            if isinstance(name, str):
                return _existing(Path(name))
    place = _fullest()
    full = any(cause.errno == errno.ENOSPC for cause in causes)
    return None if full and shutil.disk_usage(place).free > ROOM else place


def _fullest() -> Path:
    """Of the places that every command writes to, the one with the least room."""
    places = [Path.cwd(), _existing(Path("mlruns/work")), Path(tempfile.gettempdir())]
    return min(places, key=lambda place: shutil.disk_usage(place).free)


def _existing(place: Path) -> Path:
    """The place, or the nearest folder above it that exists."""
    place = place.absolute()
    with suppress(OSError):
        return next(folder for folder in (place, *place.parents) if folder.exists())
    return Path.cwd()
