"""Finds out how the columns of a table are spelled, from all of its cells.

The first rows propose readings. All rows then check them, batch by batch; cells that cannot be read propose again, and
the rows are read once more. A column whose first rows are plainly words is not read any further.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from varjepa.config.data import ColumnSection
from varjepa.data.cells import NUMBER_SHARE, column, nameless
from varjepa.data.spelling.evidence import Evidence
from varjepa.data.spelling.judge import Customs, customs_of, judged
from varjepa.data.spelling.numbers import NumberStyle, signs
from varjepa.data.spelling.readers import Reader
from varjepa.data.spelling.words import described, is_plain
from varjepa.errors import listed

GLANCE = 5000
"""First rows, which propose how columns are spelled."""

BATCH = 100_000
"""Rows of a batch."""

_GROUPED = r"^[-+]?(?:[0-9]{1,3}|[1-9][0-9]{0,2}\.[0-9]{3})$"
"""A whole number as it is written where points mark thousands; 0.125 is no such number."""

ROUNDS = 4
"""The rows are read at most so often."""


@dataclass(frozen=True)
class Verdict:
    """How a column is spelled.

    Attributes:
        reader: reads its cells.
        dtype: of the values; text if some cells cannot be read.
        section: the same as plain data; None for the spelling that every program reads.
        words: for people; empty where there is nothing to say.
        doubt: in words, how the spelling was chosen among several that fit; empty if only one fits.
    """

    reader: Reader
    dtype: pl.DataType
    section: ColumnSection | None
    words: str
    doubt: str = ""

    @property
    def grouped_by_point(self) -> bool:
        """Whether a point in its numbers marks thousands."""
        style = NumberStyle.of(self.reader.formats[0])
        return style is not None and style.decimal == ","


def detect(
    frame: pl.LazyFrame,
    given: Mapping[str, Reader],
    wanted: Mapping[str, tuple[str, ...]],
    customs: Customs | None = None,
) -> dict[str, Verdict]:
    """How columns are spelled; columns that stay as they are are left out.

    Args:
        frame: the table.
        given: column -> reader that the user wants.
        wanted: columns to find out about -> their gap words. Only text and whole numbers are looked at.
        customs: of the table; None to learn them from these columns.
    """
    schema = frame.collect_schema()
    names = [name for name in wanted if schema[name] == pl.String or schema[name].is_integer()]
    gathered = [Evidence(name, schema[name], reader, reader.gaps) for name, reader in given.items()]
    gathered += [Evidence(name, schema[name], gaps=wanted[name]) for name in names]
    if gathered:
        _gather(frame.select(column(evidence.name) for evidence in gathered), gathered)
    customs = customs or customs_of([evidence.readers[0] for evidence in gathered if len(evidence.readers) == 1])
    verdicts = {evidence.name: _verdict(evidence, customs) for evidence in gathered}
    return {name: verdict for name, verdict in verdicts.items() if verdict is not None}


def grouped_by_points(
    frame: pl.LazyFrame,
    verdicts: Mapping[str, Verdict],
    floats: Sequence[str],
    reread: Callable[[Sequence[str]], pl.LazyFrame],
) -> dict[str, Verdict]:
    """Columns that seem to be numbers with three decimals, but are or may be grouped by points.

    They are where decimal commas occur elsewhere, or where whole numbers such as 950 stand beside 1.250. They may be
    where no other column shows a decimal point: that is a doubt.

    Args:
        frame: the table.
        verdicts: of its columns of text.
        floats: columns that seem to be numbers with a decimal point.
        reread: opens the table with some columns as text.
    """
    customs = customs_of([verdict.reader for verdict in verdicts.values() if not verdict.doubt])
    if not floats:
        return {}
    first = frame.select(column(name) for name in floats).head(GLANCE).collect()
    # With three decimals at most, and no more than three digits before the point.
    thousandths = [name for name in floats if _may_be_grouped(nameless(first[name]))]
    if not thousandths or (customs.decimal is None and not _without_decimals(verdicts, floats, thousandths, reread)):
        return {}
    found = detect(reread(thousandths), {}, dict.fromkeys(thousandths, ()), customs)
    return {name: verdict for name, verdict in found.items() if verdict.grouped_by_point or verdict.doubt}


def _without_decimals(
    verdicts: Mapping[str, Verdict],
    floats: Sequence[str],
    thousandths: Sequence[str],
    reread: Callable[[Sequence[str]], pl.LazyFrame],
) -> bool:
    """Whether no number of the table has a point that can only be a decimal one, as far as its first rows show."""
    styles = [NumberStyle.of(verdict.reader.formats[0]) for verdict in verdicts.values()]
    if len(thousandths) < len(floats) or any(style is not None and style.thousands == "," for style in styles):
        return False
    texts = reread(thousandths).select(column(name) for name in thousandths).head(GLANCE).collect()
    return all(
        nameless(texts[name]).drop_nulls().str.strip_chars().str.contains(_GROUPED).all() for name in thousandths
    )


def _may_be_grouped(numbers: pl.Series) -> bool:
    present = numbers.drop_nulls()
    thousand = present * 1000
    return bool(
        ((thousand - thousand.round()).abs() < 1e-6).all() and (present.abs() < 1000).all() and (present != 0).any()
    )


def _gather(frame: pl.LazyFrame, gathered: list[Evidence]) -> None:
    first = frame.head(GLANCE + 1).collect()
    for evidence in gathered:
        evidence.look(first[evidence.name])
    # The readers of the first rows must be tried on all rows, unless these are all.
    short = first.height <= GLANCE
    for _ in range(ROUNDS):
        open_ = [evidence for evidence in gathered if not evidence.settled and (evidence.changed or not short)]
        if not open_:
            return
        for evidence in open_:
            evidence.restart()
        for batch in [first] if short else _batches(frame, open_):
            for evidence in open_:
                evidence.look(batch[evidence.name])
            if all(evidence.settled for evidence in open_):
                break
        gathered = [evidence for evidence in open_ if evidence.changed]
        if not gathered:
            return


def _batches(frame: pl.LazyFrame, gathered: list[Evidence]) -> Iterator[pl.DataFrame]:
    names = [column(evidence.name) for evidence in gathered]
    return frame.select(names).collect_batches(chunk_size=BATCH, maintain_order=True)


def _verdict(evidence: Evidence, customs: Customs) -> Verdict | None:
    if evidence.settled or not evidence.readers or (len(evidence.values) < 2 and not evidence.given):
        return None
    texts = evidence.unclear if len(evidence.readers) > 1 else evidence.texts
    chosen, doubt = judged(evidence.readers, texts, customs)
    reader, word = chosen, evidence.gap_word()
    unread = evidence.unread_cells
    if word is not None and not evidence.given:
        reader, unread = Reader(reader.formats, (*reader.gaps, word)), 0
    present = evidence.cells - sum(evidence.gaps.values())
    if unread and not evidence.given and present - unread <= NUMBER_SHARE * present:
        return None
    gaps = tuple(dict.fromkeys(gap for gap in (*reader.gaps, *sorted(evidence.gaps)) if gap))
    style = NumberStyle.of(reader.formats[0])
    beside = signs(pl.Series(list(evidence.texts), dtype=pl.String)) if style is not None and not style.unit else []
    doubt = doubt or (f"{listed(beside)} beside its numbers are read alike" if len(beside) > 1 else "")
    doubt = doubt or ("" if evidence.given else _bare_beside_percent(evidence.texts))
    named = Reader(reader.formats if not beside or evidence.given else (f"{reader.formats[0]} {beside[0]}",), gaps)
    plain = is_plain(named)
    section = (
        None
        if plain
        else ColumnSection(format=named.formats[0] if len(named.formats) == 1 else named.formats, gaps=gaps)
    )
    dtype = pl.String() if unread else _dtype(evidence, chosen)
    return Verdict(reader, dtype, section, "" if plain and not doubt else described(named), doubt)


def _bare_beside_percent(texts: Iterable[str]) -> str:
    """What to say of numbers with and without a percent sign in one column, which may differ by a factor of 100.

    Examples:
        >>> _bare_beside_percent(["45%", "50", "n/a"])
        '"45%" is read as a hundredth of 45, but "50" beside it as it stands'
    """
    numbers = sorted(text.strip() for text in texts if any(map(str.isdigit, text)))
    percent, bare = (next((text for text in numbers if ("%" in text) is signed), "") for signed in (True, False))
    if not percent or not bare:
        return ""
    amount = percent.replace("%", "").strip()
    return f'"{percent}" is read as a hundredth of {amount}, but "{bare}" beside it as it stands'


def _dtype(evidence: Evidence, reader: Reader) -> pl.DataType:
    if reader.family == "dates":
        return pl.Datetime("us") if evidence.clock or reader.clock else pl.Date()
    return pl.Float64() if reader in evidence.fractions else pl.Int64()
