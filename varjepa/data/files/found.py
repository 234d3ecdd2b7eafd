"""The files of a table: one, or those of a folder or a glob; and what folders named key=value say."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from urllib.parse import unquote

from varjepa.config.uris import home_expanded
from varjepa.data.files.compression import format_inside
from varjepa.errors import DataError, listed, nearest_path

ENDINGS = (
    ".csv", ".tsv", ".tab", ".psv", ".parquet", ".pq", ".arrow", ".arrows", ".feather", ".ipc", ".jsonl", ".ndjson",
    ".xlsx", ".xlsm", ".xlsb", ".xls", ".ods",
)  # fmt: skip
"""Endings of files that are taken for tables in a folder. If there are none, `OTHERS` are."""

OTHERS = (".txt", ".data", ".dat", ".json", "")

_PACKED = (".gz", ".zst", ".xz", ".bz2", ".zip")
_KEY = re.compile(r"([^=/]+)=([^/]*)")
_NEVER = ("readme", "license", "licence", "changelog", "makefile", "md5sums", "sha1sums", "sha256sums", "checksums")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Found:
    """The files of a table in the order of their names, and what was passed over."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def find_files(path: str) -> Found:
    """The files that a path names, of one format, unopened but for their first bytes.

    In a folder, hidden files, markers such as `_SUCCESS`, checksums and empty files are passed over. Subfolders are
    entered if they are named key=value.

    Raises:
        DataError: there are none, or they have an unknown or mixed format.
    """
    found = _found(path)
    formats = {format_inside(file) for file in found.files}
    if len(formats) > 1:
        raise DataError(
            f"{path} mixes the formats {listed(sorted(formats))}.", expected="Expected files of one format."
        )
    return found


def keys_of(file: Path) -> dict[str, str | None]:
    """What the folders directly above a file say that are named key=value. None for an unknown value.

    Examples:
        >>> keys_of(Path("table/year=2024/place=New%20York/0.parquet"))
        {'year': '2024', 'place': 'New York'}
    """
    keys: dict[str, str | None] = {}
    for parent in file.absolute().parents:
        named = _KEY.fullmatch(parent.name)
        if named is None:
            break
        keys[unquote(named[1])] = None if named[2] == _NO_VALUE else unquote(named[2])
    return dict(reversed(keys.items()))


def name_within(file: Path) -> str:
    """The name of a file after those of its key=value folders, which tells it from others of the table.

    Examples:
        >>> name_within(Path("table/year=2024/0.parquet")), name_within(Path("table/0.parquet"))
        ('year=2024/0.parquet', '0.parquet')
    """
    parts = file.absolute().parts
    first = len(parts) - 1
    while first > 1 and _KEY.fullmatch(parts[first - 1]):
        first -= 1
    return "/".join(parts[first:])


def _found(path: str) -> Found:
    place = home_expanded(path)
    if place.is_file():
        return Found((place,))
    if place.is_dir():
        return _in_folder(path, place)
    if has_magic(path):
        files = [file for file in _matches(path, place) if file.is_file()]
        full = [file for file in files if file.stat().st_size and _may_be_table(file)]
        if not files:
            raise DataError(f"No file matches {path}.")
        return Found(tuple(full or files), _skipped(file for file in files if full and file not in full))
    raise DataError(f"No such file or folder: {path}.", fix=_hint(Path(path), place.parent))


def _matches(path: str, place: Path) -> list[Path]:
    anchor = Path(place.anchor) if place.anchor else Path()
    try:
        return sorted(anchor.glob(str(place.relative_to(anchor))))
    except ValueError:
        raise DataError(
            f"{path} is no pattern of files.", expected="Expected ** between slashes only, as in data/**/*.csv."
        ) from None


def _hint(path: Path, folder: Path) -> str:
    """What to say of a table that is not there: the nearest name, or the tables that are."""
    if not folder.is_dir():
        return f"There is no folder {path.parent} either."
    shown = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith((".", "_"))]
    tables = [entry for entry in shown if entry.is_file() and _ending(entry) in ENDINGS]
    hint = nearest_path(path, [*(entry for entry in shown if entry.is_dir()), *tables])
    return hint or (f"Tables there: {listed(table.name for table in tables)}." if tables else "No table is there.")


def _in_folder(path: str, folder: Path) -> Found:
    files: list[Path] = []
    others: list[Path] = []
    for file in _below(folder):
        (files if file.is_file() and file.stat().st_size else others).append(file)
    if chosen := tables_among(files):
        left = [file for file in (*files, *others) if file not in set(chosen)]
        return Found(tuple(sorted(chosen)), _skipped(sorted(left)))
    if any(file.is_dir() and not file.name.startswith((".", "_")) for file in others):
        fix = f"Subfolders are entered if they are named key=value; for all others give a glob: {path}/**/*.parquet."
    else:
        fix = ""
    raise DataError(f"The folder {path} contains no table.", expected=f"Expected {', '.join(ENDINGS[:8])} ...", fix=fix)


def tables_among(files: Iterable[Path]) -> list[Path]:
    """The files of a folder that are named like tables; others, such as .txt, only if there are none.

    Examples:
        >>> tables_among([Path("_SUCCESS"), Path("a.csv"), Path("notes.txt")])
        [PosixPath('a.csv')]
    """
    named = [file for file in files if _may_be_table(file)]
    chosen = [file for file in named if _ending(file) in ENDINGS]
    return chosen or [file for file in named if _ending(file) in OTHERS]


def is_entered(folder: str) -> bool:
    """Whether files in this subfolder of a table belong to it: if it is named key=value."""
    return _KEY.fullmatch(folder) is not None


def _below(folder: Path) -> Iterator[Path]:
    """Files of a folder and of its key=value folders; other folders as they are."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and is_entered(entry.name):
            yield from _below(entry)
        else:
            yield entry


def _may_be_table(file: Path) -> bool:
    name = file.name.lower()
    return not name.startswith((".", "_")) and name.split(".")[0] not in _NEVER


def _ending(file: Path) -> str:
    bare = file.with_suffix("") if file.suffix.lower() in _PACKED else file
    ending = bare.suffix.lower()
    # part-00000 of a cluster, and part-00000.c000 with it.
    return "" if re.fullmatch(r"\.c?\d+", ending) else ending


def _skipped(files: Iterable[Path]) -> tuple[str, ...]:
    names = [file.name for file in files if not file.name.startswith((".", "_"))]
    what = "1 other entry" if len(names) == 1 else f"{len(names):,} other entries"
    return (f"{what} of the folder skipped: {listed(names, 4)}.",) if names else ()
