"""Proposes how a column is spelled, from distinct texts in it and how often they occur."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from varjepa.data.spelling.date_patterns import ORDERS, Order, date_pattern
from varjepa.data.spelling.numbers import PLAIN
from varjepa.data.spelling.readers import DURATION, TIME, Reader
from varjepa.data.spelling.whole_numbers import are_dates

STYLES = (PLAIN, "1,234.5", "1234,5", "1.234,5", "1,23,456.7")
"""Ways to write numbers, the simplest first."""

LEAST_VALUES = 10
"""An unknown word is a gap if at least this many different values stand beside it."""

_GROUP_MARKS = {"'": set("'\u2019"), " ": set(" \u00a0\u202f\u2009")}
_CODE = re.compile(r"\s*(?:=?\"|'?)[-+]?0\d+\"?\s*")
_LONG = re.compile(r"\d{17,}")
_NETWORK = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_PHONE = re.compile(r"\+[\d\s]{8,}")
_UNIT = re.compile(r"[-+(\u2212\u2013]*[\d.,'\u2019\s]*\d\s*([a-zA-Zµμ°²³‰][^\d\s]*(?: [^\d\s]+)?|[\"\u2033\u2032])")
_SIGN_AHEAD = re.compile(r"^[$€£¥₹](?=\d)")
_LETTER = re.compile(r"[-+]?[\d.,]+\s*([mwj])", re.IGNORECASE)
"""A number of minutes, weeks or days (jours), or of metres, millions, watts or joules."""

_SPAN = re.compile(r"\d+:\d{2}:\d{2}(?:[.,]\d+)?")


def proposals(texts: Mapping[str, int]) -> list[Reader]:
    """Readers that fit most of these texts, the simplest first; more than one if they read texts differently.

    Args:
        texts: distinct texts of a column without gaps -> number of cells.
    """
    if len(texts) < 2 or sum(map(_has_digit, texts)) < len(texts) / 2:
        return []
    cells = pl.Series("text", list(texts), dtype=pl.String)
    weights = pl.Series(list(texts.values()))
    numbers = _fitting([Reader((style,)) for style in _styles(texts)], cells, weights)
    if numbers and not _are_codes(texts):
        return _whole_dates(texts, cells) or numbers
    if numbers:
        return _whole_dates(texts, cells)
    return (
        _fitting(_date_readers(texts), cells, weights)
        or _fitting([Reader((DURATION if _are_spans(texts) else TIME,))], cells, weights, share=1.0)
        or _fitting([] if _have_one_letter(texts) else [Reader((DURATION,))], cells, weights, share=1.0)
        or _fitting([Reader((style,)) for style in _with_unit(texts)], cells, weights, share=1.0)
    )


def _are_spans(texts: Iterable[str]) -> bool:
    """Whether texts with hours, minutes and seconds are durations: some hours are a bare 0, as in 0:38:48.

    As times of day they would have the same values, but none beyond 24 hours.
    """
    spans = [text.strip() for text in texts if _has_digit(text)]
    return all(map(_SPAN.fullmatch, spans)) and any(text.startswith("0:") for text in spans)


def _have_one_letter(texts: Iterable[str]) -> bool:
    """Whether the same letter, which means a time or something else, stands behind all numbers: beside other units of
    time it would be a time.
    """
    found = [_LETTER.fullmatch(text.strip()) for text in texts if _has_digit(text)]
    return all(found) and len({match.group(1).lower() for match in found if match}) == 1


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def is_code(cells: pl.Series) -> bool:
    """Whether some of the cells are whole numbers with leading zeros."""
    return bool(cells.str.contains(f"^(?:{_CODE.pattern})$").any())


def _are_codes(texts: Iterable[str]) -> bool:
    """Whether texts that read as numbers are codes: leading zeros, network addresses, telephone numbers, and whole
    numbers with more digits than decimals hold, so that different ones would become equal.
    """
    present = [text.strip() for text in texts]
    return (
        any(_CODE.fullmatch(text) for text in present)
        or all(_NETWORK.fullmatch(text) for text in present)
        or all(_LONG.fullmatch(text) for text in present)
        or all(_PHONE.fullmatch(text) for text in present)
    )


def _styles(texts: Iterable[str]) -> list[str]:
    """Examples of the styles to try; in front those whose mark of thousands occurs."""
    marks = {mark for text in texts for mark in re.findall(r"\d([.,'\u2019 \u00a0\u202f\u2009])\d{3}(?!\d)", text)}
    spaced = [f"1{mark}234{decimal}5" for mark in "' " if marks & _GROUP_MARKS[mark] for decimal in ".,"]
    grouped = [style for style, mark in (("1,234.5", ","), ("1.234,5", ".")) if mark in marks]
    return list(dict.fromkeys([*spaced, *grouped, *STYLES]))


def _with_unit(texts: Iterable[str]) -> list[str]:
    """The same with the word that stands behind every number; nothing where there is no such word."""
    # A word without a number may be a gap.
    found = [_UNIT.fullmatch(_SIGN_AHEAD.sub("", text.strip())) for text in texts if _has_digit(text)]
    units = {match.group(1) for match in found if match}
    if not all(found) or len({unit.lower() for unit in units}) != 1 or len(found) < 3:
        return []
    return [f"{style} {min(units)}" for style in _styles(texts)]


def _fitting(readers: Iterable[Reader], cells: pl.Series, weights: pl.Series, share: float = 0.5) -> list[Reader]:
    """The readers that read most cells, and at least a share of them; of readers that agree on all cells the first."""
    read: list[tuple[int, Reader, pl.Series]] = []
    for reader in readers:
        values = reader.values(cells)
        # A gap word is not evidence for anything.
        rest = reader.unread(cells, values)
        if values.drop_nulls().n_unique() >= 2 and (
            int(weights.filter(rest).sum()) <= (1 - share) * int(weights.sum())
            or _is_one_word(cells.filter(rest), values)
        ):
            read.append((int(weights.filter(rest.not_()).sum()), reader, values))
    most = max((count for count, _, _ in read), default=0)
    best = list[tuple[Reader, pl.Series]]()
    for count, reader, values in read:
        if count == most and not any(values.equals(other) for _, other in best):
            best.append((reader, values))
    return [reader for reader, _ in best]


def _is_one_word(rest: pl.Series, values: pl.Series) -> bool:
    """Whether all texts that are no values are one word beside many values, which then is a gap."""
    words = rest.str.strip_chars().str.to_lowercase().unique()
    return len(words) == 1 and not _has_digit(words[0]) and values.drop_nulls().n_unique() >= LEAST_VALUES


def _whole_dates(texts: Iterable[str], cells: pl.Series) -> list[Reader]:
    """A reader for whole numbers that are all days (20150131) or months (201501)."""
    widths = {len(text.strip()) for text in texts}
    pattern = {8: "%Y%m%d", 6: "%Y%m", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}.get(
        widths.pop() if len(widths) == 1 else 0
    )
    return [] if pattern is None or not are_dates(cells.str.strip_chars(), pattern) else [Reader((pattern,))]


def _date_readers(texts: Mapping[str, int]) -> list[Reader]:
    """Readers for dates, one for each order of day and month; one for both orders if no single order fits."""
    readers = {order: _date_reader(texts, order) for order in ORDERS}
    distinct = list(dict.fromkeys(reader for reader in readers.values() if reader is not None))
    if len(distinct) < 2:
        return distinct
    cells = pl.Series(list(texts), dtype=pl.String)
    if any(reader.values(cells).is_not_null().all() for reader in distinct):
        return distinct
    # Both orders occur: the one that reads more cells comes first.
    weights = pl.Series(list(texts.values()))
    ranked = sorted(distinct, key=lambda reader: -int(weights.filter(reader.values(cells).is_not_null()).sum()))
    both = Reader(tuple(dict.fromkeys(form for reader in ranked for form in reader.formats)))
    return [*distinct, both]


def _date_reader(texts: Mapping[str, int], order: Order) -> Reader | None:
    patterns = Counter[str]()
    for text, count in texts.items():
        pattern = date_pattern(text, order)
        if pattern is not None:
            patterns[pattern] += count
    if not patterns or _are_seasons(texts):
        return None
    return Reader(tuple(pattern for pattern, _ in patterns.most_common()))


def _are_seasons(texts: Iterable[str]) -> bool:
    """Whether all texts name two years in a row, such as 2008/09."""
    pairs = [re.fullmatch(r"\s*(\d{4})[-/](\d{2})\s*", text) for text in texts]
    return all(pair and (int(pair[1]) + 1) % 100 == int(pair[2]) for pair in pairs)
