"""Decides between readings that fit all cells of a column, by the column itself and by the rest of its table."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from varjepa.data.spelling.numbers import NumberStyle, signs
from varjepa.data.spelling.readers import Reader

CLEARLY = 10
"""As many different numbers with three digits behind their mark, beside numbers without a mark, are grouped."""


@dataclass(frozen=True)
class Customs:
    """How the other columns of the table are written, as far as that is clear.

    Attributes:
        decimal: decimal mark.
        day_first: whether the day comes before the month.
    """

    decimal: Literal[".", ","] | None = None
    day_first: bool | None = None


def customs_of(readers: Collection[Reader]) -> Customs:
    """The customs of columns whose spelling is beyond doubt."""
    styles = [NumberStyle.of(reader.formats[0]) for reader in readers if reader.family == "numbers"]
    commas = any(style is not None and style.decimal == "," for style in styles)
    first = Counter(
        is_day_first(form) for reader in readers if reader.family == "dates" for form in reader.formats
        if is_day_first(form) is not None
    )  # fmt: skip
    order = first.most_common(1)[0][0] if len(first) == 1 else None
    return Customs("," if commas else None, order)


def is_day_first(pattern: str) -> bool | None:
    """Whether a pattern has the day before the month; None if it is a year-first pattern or has no two of them.

    Examples:
        >>> [is_day_first(pattern) for pattern in ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d")]
        [True, False, None]
    """
    day, month, year = pattern.find("%d"), pattern.find("%m"), max(pattern.find("%Y"), pattern.find("%y"))
    return None if min(day, month, year) < 0 or year < max(day, month) else day < month


def judged(readers: Sequence[Reader], texts: Collection[str], customs: Customs) -> tuple[Reader, str]:
    """The reading to use, and in words how it was chosen among several; empty words where there was no choice.

    Args:
        readers: all fit every cell, and differ on some.
        texts: distinct texts of the column, with all on which the readings may differ.
        customs: of the table.
    """
    if len(readers) == 1:
        return readers[0], _both_orders(readers[0], texts)
    if readers[0].family == "numbers":
        return _number_reader(readers, texts, customs)
    return _date_reader(readers, texts, customs)


def _number_reader(readers: Sequence[Reader], texts: Collection[str], customs: Customs) -> tuple[Reader, str]:
    by_mark = {style.decimal: reader for reader in readers if (style := NumberStyle.of(reader.formats[0]))}
    # 1,234 is more often grouped than a number with three decimals, 1.234 the other way round.
    mark = customs.decimal or "."
    chosen = by_mark.get(mark, readers[0])
    bare = sum(text.strip().isdigit() for text in texts)
    # Amounts of money have two decimals, hardly ever three.
    money = any(sign != "%" for sign in signs(pl.Series(list(texts), dtype=pl.String)))
    if money or (customs.decimal is None and bare > 0 and len(texts) - bare >= CLEARLY):
        # With three decimals everywhere, whole numbers would have them, too.
        grouped = next(
            (reader for reader in readers if (style := NumberStyle.of(reader.formats[0])) and style.thousands), None
        )
        if grouped is not None:
            return grouped, ""
    example = next((text.strip() for text in sorted(texts) if any(mark in text for mark in ",.")), "1,234")
    cell = pl.Series([example])
    value = chosen.values(cell).item()
    others = [reader.values(cell).item() for reader in readers if reader is not chosen]
    other = next((f" ({number:.12g})" for number in others if number not in (None, value)), "")
    why = "as decimal commas occur in other columns" if customs.decimal else f"though it may mean another number{other}"
    return chosen, f"{example} is read as {value:.12g}, {why}"


def _date_reader(readers: Sequence[Reader], texts: Collection[str], customs: Customs) -> tuple[Reader, str]:
    cells = pl.Series(sorted(texts), dtype=pl.String)
    days = {reader: reader.values(cells).dt.date().unique().drop_nulls().sort() for reader in readers}
    same_day = [reader for reader in readers if _on_one_day(days[reader]) and not _is_year(reader, days[reader])]
    if len(same_day) == 1:
        return same_day[0], f"{_order(same_day[0])}, as all dates then fall on the same day of their months"
    if customs.day_first is not None:
        alike = [reader for reader in readers if _day_first(reader) == customs.day_first]
        if alike:
            return alike[0], f"{_order(alike[0])}, as in other columns"
    regular = sorted(readers, key=lambda reader: _steps(days[reader]))
    if _steps(days[regular[0]]) * 2 <= _steps(days[regular[1]]):
        return regular[0], f"{_order(regular[0])}, as the dates then come in regular steps"
    chosen = _by_default(readers, texts, customs)
    return chosen, f"{_order(chosen)}, though no day above 12 shows it"


def _both_orders(reader: Reader, texts: Collection[str]) -> str:
    """What to say of a column of which some dates have the day first and others the month: no cell above 12 in both
    places tells which it is.
    """
    orders = [is_day_first(form) for form in reader.formats] if reader.family == "dates" else []
    if not {True, False} <= {*orders}:
        return ""
    cells = pl.Series(sorted(texts), dtype=pl.String)
    read = {order: Reader(tuple(form for form, its in zip(reader.formats, orders, strict=True) if its is order))
            for order in (True, False)}  # fmt: skip
    unclear = cells.filter((read[True].values(cells) != read[False].values(cells)).fill_null(value=False))
    if unclear.is_empty():
        return ""
    first = next(order for order in orders if order is not None)
    return (
        f'some dates have the day first and others the month; "{unclear[0].strip()}" may be either, and such dates are '
        f"read with the {'day' if first else 'month'} first"
    )


def _by_default(readers: Sequence[Reader], texts: Collection[str], customs: Customs) -> Reader:
    """Month first where slashes or AM and PM are used, without decimal commas in the table; day first elsewhere."""
    american = any("/" in form for form in readers[0].formats) or any(
        text.lower().rstrip(" .m").endswith((" a", " p")) for text in list(texts)[:100]
    )
    wanted = not (american and customs.decimal != ",")
    return next((reader for reader in readers if _day_first(reader) == wanted), readers[0])


def _day_first(reader: Reader) -> bool | None:
    return next((first for form in reader.formats if (first := is_day_first(form)) is not None), None)


def _order(reader: Reader) -> str:
    return {True: "day first", False: "month first", None: "year first"}[_day_first(reader)]


def _on_one_day(days: pl.Series) -> bool:
    """Whether dates of several months all fall on the same day of the month."""
    return days.dt.day().n_unique() == 1 and days.dt.truncate("1mo").n_unique() >= 3


def _is_year(reader: Reader, days: pl.Series) -> bool:
    """Whether what all dates have in common at their end is rather a year of two digits: a day would be the first."""
    return _day_first(reader) is None and days.dt.day().max() != 1


def _steps(days: pl.Series) -> int:
    """Number of different distances between neighbouring dates."""
    return max(1, days.diff().drop_nulls().n_unique())
