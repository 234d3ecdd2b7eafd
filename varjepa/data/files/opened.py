"""Opens local tables of any format that is read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import polars as pl

from varjepa.config import DataSection
from varjepa.data.files.columnar import columnar_parts
from varjepa.data.files.compression import unpacked
from varjepa.data.files.damage import readable
from varjepa.data.files.delimited import Delimited, open_delimited
from varjepa.data.files.found import find_files, keys_of
from varjepa.data.files.part import Part
from varjepa.data.files.stage import Stage
from varjepa.data.files.types import text_part
from varjepa.data.files.union import united

_DECLARED = ("parquet", "ipc", "ipc stream")


@dataclass(frozen=True)
class Opened:
    """A table of local files.

    Attributes:
        frame: its rows, not read yet.
        files: the files.
        notes: what was unusual, as sentences.
        delimited: whether they are files of text.
    """

    frame: pl.LazyFrame
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    delimited: bool = False


def open_files(path: str, data: DataSection, text: Collection[str], spelled: Collection[str] = ()) -> Opened:
    """Opens a file, a folder or a glob.

    Args:
        path: as the user gave it.
        data: settings that overrule what is found.
        text: columns that are text whatever they hold.
        spelled: columns that stay text in files of text, because they are spelled in another way than it seems.

    Raises:
        DataError: there is no such table, or it cannot be read.
    """
    found, stage = find_files(path), Stage()
    places, formats, notes = [], [], [*found.notes]
    for file in found.files:
        place, kind = unpacked(file, stage)
        places.append(place)
        formats.append(kind)
    opened = [(place, file, keys_of(file)) for place, file in zip(places, found.files, strict=True)]
    with readable(path):
        if formats[0] == "csv":
            parts, more = _text_parts(opened, data, {*text, *spelled}, stage)
        else:
            parts, more = columnar_parts(opened, formats[0], data, stage)
        frame, last = united(parts, declared=formats[0] in _DECLARED, text=text)
    return Opened(stage.tied(frame), found.files, tuple(dict.fromkeys([*notes, *more, *last])), formats[0] == "csv")


def _text_parts(
    opened: Sequence[tuple[Path, Path, Mapping[str, str | None]]],
    data: DataSection,
    text: Collection[str],
    stage: Stage,
) -> tuple[list[Part], list[str]]:
    """One part for each run of files with the same names, separator and keys, and notes."""
    parts: list[Part] = []
    notes: list[str] = []
    read = [(open_delimited(place, file, data, stage), file, keys) for place, file, keys in opened]
    for file in read if len(read) > 1 else []:
        notes += [f"{file[1].name}: {note}" for note in file[0].notes]
    notes += read[0][0].notes if len(read) == 1 else []
    for _, run in groupby(read, key=lambda each: _layout(each[0], each[2])):
        same = list(run)
        parts.append(text_part([each[0] for each in same], same[0][1], same[0][2], data, text))
    return parts, notes


def _layout(file: Delimited, keys: Mapping[str, str | None]) -> tuple[object, ...]:
    return file.names, file.separator, file.unnamed_last, tuple(keys.items())
