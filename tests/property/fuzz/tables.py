"""Random hostile tables: a sound one with strange cells, names, types and shapes, in a file that may be damaged."""

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

CELLS = (
    "", " ", "NA", "null", "None", "-", "?", "nan", "inf", "-inf", "1e308", "-1e308", "1e400", "1e5", "0x10", "1_000",
    "1,5", "99999999999999999999", "9999-12-31", "0000-00-00", "2020-02-30", "24:00", "1970-01-01", "true",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "=1+1", "@SUM(A1)", "+1", "\x1b[31m", "\u202egnp",
    "a\nb", 'a"b', "a,b", "a;b", "\x00", "\x07", "é" * 500, "x" * 20_000, "🦄", "[red]", "${HOME}",
    "'; DROP TABLE x; --", "%s", "\ufeff", "\xa0", "0" * 400, "١٢٣",
)  # fmt: skip

NAMES = (
    "*", "^a.*$", "[k]", "a\nb", "", " ", "x" * 300, "é", "🦄", "<b>", "a.b", "a:b", "a/b", "select", "row", "index",
    "label", "prediction", "uncertainty", "embedding", "__row__", '"', "'", "`", "%", "\\", "\t", "{{ x }}", "${HOME}",
    "=1", "1", "nan", "age ", "Age", "customer_id", "cluster", "\u202ex", "\x1b[31m",
)  # fmt: skip

NUMBERS = (float("inf"), float("-inf"), float("nan"), 1e308, -1e308, 1e-308, 5e-324, 0.0, -0.0, 1e15 + 0.5)

LAST = datetime(9999, 1, 1)  # noqa: DTZ001 (a table without zones)

DTYPES: dict[str, Callable[[int], Any]] = {
    "Int128": lambda row: 2**100 + row, "UInt64": lambda row: 2**64 - 1 - row,
    "Decimal(20, 4)": lambda row: Decimal(row) / 7, "Duration": lambda row: timedelta(seconds=row * 1.5),
    "Time": lambda row: (LAST + timedelta(seconds=row)).time(),
    "Date": lambda row: date(1, 1, 1) + timedelta(days=row * 700), "Datetime": lambda row: LAST - timedelta(days=row),
    "Binary": lambda row: bytes([row % 256]), "List(Int64)": lambda row: [row, row], "Struct": lambda row: {"a": row},
    "Null": lambda row: None, "Float32": lambda row: row / 3, "Boolean": lambda row: row % 2 == 0,
    "Categorical": lambda row: f"c{row % 3}",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A written table.

    Attributes:
        file: where it lies.
        rows: it has; None if the file was damaged afterwards.
        done: what was done to it, for the report.
    """

    file: Path
    rows: int | None
    done: tuple[str, ...]


def hostile_table(draw: random.Random, sound: pl.DataFrame, folder: Path) -> Table:
    """Writes a mutated copy of a sound table, in one of several formats."""
    frame, done = sound, []
    for name in draw.choices(sorted(MUTATIONS), k=draw.choice([0, 1, 1, 2, 3])):
        done.append(name)
        frame = MUTATIONS[name](draw, frame)
    kind = draw.choice(["csv", "csv", "csv", "parquet", "jsonl", "arrow"])
    file = folder / f"t.{kind}"
    kind = _write(draw, frame, file, kind)
    if draw.random() < 0.3:
        damage = draw.choice(sorted(DAMAGES))
        file.write_bytes(DAMAGES[damage](draw, file.read_bytes()))
        if damage == "packed":
            file = file.rename(file.with_name(f"{file.name}.gz"))
        if damage not in KEEPS_ROWS:
            return Table(file, None, (*done, kind, damage))
        done.append(damage)
    return Table(file, frame.height, (*done, kind))


def _write(draw: random.Random, frame: pl.DataFrame, file: Path, kind: str) -> str:
    """Writes the frame, as Parquet where the format cannot hold its types; returns the format that was used."""
    if kind == "jsonl" and pl.Binary in frame.dtypes:  # Polars panics
        kind = "parquet"
    try:
        match kind:
            case "csv":
                frame.write_csv(
                    file, separator=draw.choice([",", ",", ";", "\t"]), quote_style=draw.choice(["necessary", "always"])
                )
            case "jsonl":
                frame.write_ndjson(file)
            case "arrow":
                frame.write_ipc(file)
            case _:
                frame.write_parquet(file)
    except (pl.exceptions.PolarsError, ValueError, NotImplementedError):
        frame.write_csv(file) if kind == "parquet" else frame.write_parquet(file)
        return f"{kind} (other content)"
    return kind


def _cells(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    """Text in some cells of a column, which becomes text."""
    name, cell, share = draw.choice(frame.columns), draw.choice(CELLS), draw.choice([0.01, 0.1, 0.5, 1.0])
    texts = [None if value is None else str(value) for value in frame[name].to_list()]
    return frame.with_columns(pl.Series(name, [cell if draw.random() < share else text for text in texts], pl.String))


def _numbers(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    number, share = draw.choice(NUMBERS), draw.choice([0.01, 0.3, 1.0])
    values = [number if draw.random() < share else draw.gauss(0, 1) for _ in range(frame.height)]
    return frame.with_columns(pl.Series("number", values, pl.Float64))


def _name(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    old, new = draw.choice([name for name in frame.columns if name != "rich"] or frame.columns), draw.choice(NAMES)
    return frame if new in frame.columns else frame.rename({old: new})


def _dtype(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    kind = draw.choice(sorted(DTYPES))
    return frame.with_columns(pl.Series(f"of {kind}", [DTYPES[kind](row) for row in range(frame.height)], strict=False))


def _rows(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.head(draw.choice([0, 1, 2, 5, 12]))


def _copies(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([frame.head(3)] * max(1, frame.height // 3)) if frame.height else frame


def _gaps(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    names = draw.sample(frame.columns, draw.randint(1, frame.width))
    return frame.with_columns(pl.lit(None).cast(frame.schema[name]).alias(name) for name in names)


def _wide(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.Series(f"w{k}", [draw.random() for _ in range(frame.height)]) for k in range(60))


def _label(draw: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    values = draw.choice([("yes",), ("yes", None), (None,), ("a", "b", "c", "d"), ("1", "0"), ("<b>", "=1")])
    return frame.with_columns(pl.Series("rich", draw.choices(values, k=frame.height), pl.String))


MUTATIONS: dict[str, Callable[[random.Random, pl.DataFrame], pl.DataFrame]] = {
    "cells": _cells, "more cells": _cells, "numbers": _numbers, "name": _name, "another name": _name, "dtype": _dtype,
    "few rows": _rows, "copies": _copies, "gaps": _gaps, "wide": _wide, "label": _label,
}  # fmt: skip


def _flipped(draw: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(draw.choice([1, 3, 30])):
        if damaged:
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return bytes(damaged)


DAMAGES: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "flipped": _flipped,
    "cut": lambda draw, content: content[: draw.randrange(len(content) + 1)],
    "repeated": lambda draw, content: content + content[: draw.randrange(len(content) + 1)],
    "nul": lambda draw, content: content + bytes(draw.choice([1, 100, 5000])),
    "quote": lambda draw, content: content[:-20] + b'"' + content[-20:],
    "ragged": lambda draw, content: content + b"1,2\n" + b"a," * 50 + b"\n",
    "byte order mark": lambda draw, content: b"\xef\xbb\xbf" + content,
    "crlf": lambda draw, content: content.replace(b"\n", b"\r\n"),
    "packed": lambda draw, content: gzip.compress(content)[: draw.choice([None, 50, -4])],
    "empty": lambda draw, content: b"",
}
KEEPS_ROWS = ("byte order mark",)
