"""Writes known tables in random dialects and reads them back: `python -m benchmarks.dialects [--trials 2000]`.

A trial draws a table (text with separators, quotes, line ends and accents; whole numbers; decimals; gaps) and a
dialect (separator, quotes, escapes, line ends, encoding, compression, preamble, comments, `sep=` line, trailing
separators, blank lines). Only what no reader could know is left out:

- tables of a single column, and UTF-16 without a byte order mark for text that is not Latin;
- in text without quotes, cells that hold a separator, a quote or a line end and have no escape;
- blanks at the start of cells where a blank follows each separator, and cells that start with # where # is a comment;
- doubled backslashes in a text with no other escape;
- `sep=` lines and titles behind each other, because the spreadsheets that know `sep=` want it first.
"""

import argparse
import bz2
import gzip
import io
import lzma
import random
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl
import zstandard

from benchmarks.harness import RESULTS, Figure, publish
from varjepa.config import DataSection
from varjepa.data.files.opened import open_files

TRIALS = 2000

_PLAIN = ("blue", "red wine", "Smith", "x-1", "a b c", "n.a.d.", "12 Main St", "no", "Yes", "0x1F", "A/B")
_HARD = (
    "Smith, John", 'say "hi"', "a;b", "tab\there", "p|q", "two\nlines", "it's", 'two\n"lines", ok', ",", ";;", '"',
    "C:\\dir",
)  # fmt: skip
_WESTERN = ("Müller", "café", "señor", "Zürich", "naïve", "fenêtre", "Köln am Rhein", "groß", "smörgås", "façade")
_WORLD = ("東京", "Москва", "Ελλάδα", "łódź", "naïve ☕")
_NAMES = ("age", "Name", "x", "total cost", "größe", "b.1", "job_title", "K", "[k]", "*", "^a.*$", "unit (mm)")
_TITLES = ("Monthly report", "Created by the export tool", "Department 7", "Values as of yesterday")


@dataclass(frozen=True)
class Writing:
    """A dialect to write in.

    Attributes:
        separator: of cells.
        quote: character around cells, or empty.
        quoting: minimal, text or all.
        escape: a backslash stands before quotes (and separators, without quotes); else quotes are doubled.
        padded: a blank follows each separator.
        line_end: of rows; mixed draws one for each.
        encoding: of the text.
        packing: compression.
        titles: lines before the header.
        comments: lines with # before the header and between rows.
        sep_line: the first line says `sep=`.
        trailing: an empty cell ends rows, or header and rows.
        blank_lines: empty lines between rows.
        ended: the last line has an end.
    """

    separator: str
    quote: str
    quoting: str
    escape: bool
    padded: bool
    line_end: str
    encoding: str
    packing: str
    titles: int
    comments: int
    sep_line: bool
    trailing: str
    blank_lines: int
    ended: bool

    def __str__(self) -> str:
        return ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))


def random_writing(draw: random.Random) -> Writing:
    """A dialect."""
    quote = draw.choice(['"'] * 8 + ["'", ""])
    titles = draw.choice([0] * 7 + [1, 2, 3])
    return Writing(
        separator=draw.choice(",,;;\t\t|"), quote=quote, quoting=draw.choice(["minimal", "text", "all"]),
        escape=draw.random() < 0.15, padded=draw.random() < 0.1,
        line_end=draw.choice(["\n", "\n", "\r\n", "\r\n", "\r", "mixed"]),
        encoding=draw.choice(["utf-8"] * 4 + ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]),
        packing=draw.choice([""] * 5 + ["gz", "zst", "xz", "bz2", "zip"]), titles=titles,
        comments=draw.choice([0] * 5 + [1, 3]), sep_line=not titles and draw.random() < 0.1,
        trailing=draw.choice([""] * 6 + ["rows", "all"]), blank_lines=draw.choice([0, 0, 0, 1, 4]),
        ended=draw.random() < 0.9,
    )  # fmt: skip


def random_table(draw: random.Random, writing: Writing) -> pl.DataFrame:
    """A table of two to seven columns that can be written in this dialect."""
    rows, width = draw.randint(3, 60), draw.randint(2, 7)
    latin = writing.encoding in ("cp1252", "latin-1", "utf-16-le", "utf-16-be")
    words = [*_PLAIN, *_WESTERN, *(() if latin else _WORLD), *(_HARD if writing.quote else ())]
    if writing.escape and not writing.quote:
        words += [word for word in _HARD if "\n" not in word and '"' not in word and "'" not in word]
    if writing.escape:
        words = [word for word in words if "\\" not in word]
    if not writing.comments:
        words.append("#tag")
    if not writing.padded:
        words.append(" led")
    makers: list[Callable[[], object]] = [
        lambda: draw.choice(words), lambda: draw.choice(words), lambda: draw.randint(-5, 100_000),
        lambda: round(draw.gauss(0, 100), 2),
    ]  # fmt: skip
    names = draw.sample(_NAMES, width)
    columns = {}
    for name in names:
        make, gaps = draw.choice(makers), draw.choice([0.0, 0.0, 0.2])
        columns[name] = [None if draw.random() < gaps else make() for _ in range(rows)]
    return pl.DataFrame(columns)


def written(table: pl.DataFrame, writing: Writing, draw: random.Random) -> bytes:
    """The table as a file."""
    lines = [f"sep={writing.separator}"] if writing.sep_line else []
    lines += draw.sample(_TITLES, writing.titles)
    lines += [f"# note {number}" for number in range(writing.comments)]
    more = {"": (0, 0), "rows": (0, 1), "all": (1, 1)}[writing.trailing]
    lines.append(_line(table.columns, writing) + writing.separator * more[0])
    body = [_line(row, writing) + writing.separator * more[1] for row in table.iter_rows()]
    for _ in range(writing.blank_lines):
        body.insert(draw.randint(0, len(body)), "")
    if writing.comments > 1:
        body.insert(draw.randint(0, len(body)), f"# {writing.separator} in between")
    lines += body
    ends = [draw.choice(["\n", "\r\n"]) if writing.line_end == "mixed" else writing.line_end for _ in lines]
    if not writing.ended:
        ends[-1] = ""
    text = "".join(line + end for line, end in zip(lines, ends, strict=True))
    return _packed(text.encode(writing.encoding), writing.packing)


def _line(cells: object, writing: Writing) -> str:
    between = writing.separator + (" " if writing.padded else "")
    return between.join(_cell(cell, writing) for cell in cells)  # type: ignore[attr-defined]  # a row or a list


def _cell(cell: object, writing: Writing) -> str:
    text = "" if cell is None else str(cell)
    special = any(char in text for char in (writing.separator, writing.quote or "\n", "\n", "\r"))
    if not writing.quote:
        escaped = text.replace("\\", "\\\\").replace(writing.separator, "\\" + writing.separator)
        return escaped if writing.escape else text
    quoted = special or writing.quoting == "all" or (writing.quoting == "text" and isinstance(cell, str))
    if not quoted:
        return text.replace("\\", "\\\\") if writing.escape else text
    if writing.escape:
        text = text.replace("\\", "\\\\").replace(writing.quote, "\\" + writing.quote)
    else:
        text = text.replace(writing.quote, writing.quote * 2)
    return writing.quote + text + writing.quote


def _packed(content: bytes, packing: str) -> bytes:
    if packing == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inside.csv", content)
        return buffer.getvalue()
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress, "zst": zstandard.ZstdCompressor().compress,
    }  # fmt: skip
    return packers[packing](content) if packing else content


def expected(table: pl.DataFrame) -> pl.DataFrame:
    """What reading gives: columns without a value are text."""
    return table.with_columns(table[name].cast(pl.String) for name, dtype in table.schema.items() if dtype == pl.Null)


def difference(seed: int, folder: Path) -> str:
    """What is wrong with the table of one trial after it was read back; empty if nothing is."""
    draw = random.Random(seed)  # noqa: S311 (a repeatable trial)
    writing = random_writing(draw)
    table = random_table(draw, writing)
    file = folder / draw.choice(["t.csv", "t.txt", "t.data", "t.tsv", "table"])
    file.write_bytes(written(table, writing, draw))
    try:
        found = open_files(str(file), DataSection(path=str(file)), ()).frame.collect()
    except Exception:  # noqa: BLE001 (every error is a failed trial)
        return f"seed {seed}: {writing}\n{traceback.format_exc(limit=-3)}"
    if found.equals(expected(table)) and found.schema == expected(table).schema:
        return ""
    return f"seed {seed}: {writing}\n{table}\n{found}"


def main() -> None:
    """Runs the trials, prints the failed ones and writes the number of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialects", description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--first", type=int, default=0, help="seed of the first trial")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(words.first, words.first + words.trials)
        wrong = [found for seed in seeds if (found := difference(seed, Path(folder)))]
    for found in wrong:
        print(found)
    errors = sum("Traceback" in found for found in wrong)
    figures = [
        Figure("random dialects", words.trials, "tables"),
        Figure("read back wrongly", len(wrong) - errors, "tables", asked="0"),
        Figure("ended with an error", errors, "tables", asked="0"),
    ]
    publish("dialects", figures, words.out, command=f"python -m benchmarks.dialects --trials {words.trials}")


if __name__ == "__main__":
    main()
