"""Formats that bring their types along: Parquet, Arrow, Excel and JSON."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl
import polars.selectors as cs

from varjepa.config import DataSection
from varjepa.data.files.objects import json_frame
from varjepa.data.files.part import Part
from varjepa.data.files.spreadsheets import read_sheet
from varjepa.data.files.stage import Stage

_Place = TypeVar("_Place")


def columnar_parts(
    opened: Sequence[tuple[Path, Path, Mapping[str, str | None]]], kind: str, data: DataSection, stage: Stage
) -> tuple[list[Part], list[str]]:
    """One part for each run of files with the same columns, and notes.

    Args:
        opened: files without compression, the files that the user knows, and keys of their folders.
        kind: parquet, ipc, ipc stream, excel, json or json lines.
        data: which sheet of spreadsheets, and whether it has a header.
        stage: for streams, which are rewritten as files.
    """
    parts: list[Part] = []
    notes: list[str] = []
    run: list[Path] = []
    for place, file, keys in opened:
        frames, more = _open(place, file, kind, data, stage)
        notes += more
        schema = dict(frames([place]).collect_schema())
        same = parts and parts[-1].keys == keys and list(parts[-1].schema.items()) == list(schema.items())
        if same and kind in _LISTS:
            run.append(place)
            continue
        run = [place]
        parts.append(Part(file, schema, reader_of(frames, run, schema), keys))
    return parts, notes


def reader_of(
    frames: Callable[[list[_Place]], pl.LazyFrame], run: list[_Place], schema: Mapping[str, pl.DataType]
) -> Callable[[Mapping[str, pl.DataType]], pl.LazyFrame]:
    """Reads files, whose list still grows, in the types that are asked for."""

    def read(types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
        casts = {name: dtype for name, dtype in types.items() if dtype != schema[name]}
        frame = frames(run)
        frame = frame.with_columns(cs.by_name(name).cast(dtype) for name, dtype in casts.items()) if casts else frame
        return frame if len(types) == len(schema) else frame.select(cs.by_name(*types))

    return read


_LISTS: dict[str, Callable[[list[Path]], pl.LazyFrame]] = {
    "parquet": lambda files: pl.scan_parquet(files, glob=False, hive_partitioning=False),
    "ipc": lambda files: pl.scan_ipc(files, hive_partitioning=False),
}
"""Readers of many files with the same columns."""


def _open(
    place: Path, file: Path, kind: str, data: DataSection, stage: Stage
) -> tuple[Callable[[list[Path]], pl.LazyFrame], list[str]]:
    if kind in _LISTS:
        return _LISTS[kind], []
    if kind == "ipc stream":
        frame = pl.scan_ipc(_file_of_stream(place, file, stage))
    elif kind in ("json", "json lines"):
        frame = json_frame(place, lines=kind == "json lines")
    else:
        table, notes = read_sheet(place, file, wanted=data.sheet, header=data.header)
        return lambda _: table.lazy(), notes
    return lambda _: frame, []


def _file_of_stream(place: Path, file: Path, stage: Stage) -> Path:
    """An Arrow stream rewritten as a file, which can be read in parts."""
    from pyarrow import ArrowInvalid, OSFile, RecordBatchFileWriter, ipc  # noqa: PLC0415 (costs time, needed here alone)

    copy = stage.place(f"{file.name}.arrow")
    try:
        with (
            OSFile(str(place)) as source,
            ipc.open_stream(source) as stream,
            RecordBatchFileWriter(str(copy), stream.schema) as target,
        ):
            for batch in stream:
                target.write_batch(batch)
    except ArrowInvalid as error:
        raise OSError(str(error).splitlines()[0]) from None
    return copy
