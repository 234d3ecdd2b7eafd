"""Numbers in the spellings of the world: marks, signs, currencies, percent, accounting brackets and units."""

import re
from dataclasses import dataclass
from typing import Literal, Self

import polars as pl

from varjepa.data.spelling.gaps import DASHES, INVISIBLE

PLAIN = "1234.5"
"""The spelling that every program reads."""

EXAMPLES: dict[str, tuple[Literal[".", ","], str]] = {
    PLAIN: (".", ""), "1,234.5": (".", ","), "1234,5": (",", ""), "1.234,5": (",", "."), "1 234,5": (",", " "),
    "1 234.5": (".", " "), "1'234.5": (".", "'"), "1'234,5": (",", "'"), "1_234.5": (".", "_"),
    "1,23,456.7": (".", ",,"), "1.234": (",", "."), "1,234": (".", ","), "1 234": (".", " "), "1'234": (".", "'"),
}  # fmt: skip
"""How a number is written: its decimal mark and its mark of thousands. `,,` groups as in India."""

_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MAD MXN MYR NGN NOK "
    "NZD PEN PHP PKR PLN RMB RON RSD RUB SAR SEK SGD THB TRY TWD UAH USD UYU VND ZAR"
)
_NAMES = r"fr\.|kr\.?|zł|kč|ft|lei|rs\.?|rm|rp\.?|tl|руб\.?|грн\.?|лв\.?|euros?|dollars?"  # noqa: RUF001 (Cyrillic)
CURRENCY = rf"(?:[a-z]{{0,3}}\p{{Sc}}|(?:{_CODES.lower().replace(' ', '|')}|{_NAMES}))"
"""Signs and codes of currencies, in lower case, before or after a number."""

SIGN = rf"(?i)(%|{CURRENCY})"
"""What may stand beside a number without a change of its style."""

_HEAD = rf"(?i)^([-+(]*)\s*{CURRENCY}\s*"
_TAIL = rf"(?i)\s*{CURRENCY}\s*([-)%]*)$"
_QUOTE_BEHIND_SIGN = '^([-+(]+ ?)["\u201c\u201d\u201e]'
_QUOTE_BEFORE_SIGN = '["\u201c\u201d]( ?[-)]+)$'
_FORMULA = r'^="([^"]*)"$'
_DIGITS = {chr(first + digit): str(digit) for first in (0x660, 0x6F0, 0x966, 0x9E6, 0xFF10) for digit in range(10)}
"""Digits of Arabic, Persian, Devanagari, Bengali and of full width."""

_QUOTES = "\"'“”„«»` "


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal mark.
        thousands: the mark of thousands, or none.
        unit: a word that may stand behind the number.
    """

    decimal: Literal[".", ","] = "."
    thousands: str = ""
    unit: str = ""

    @classmethod
    def of(cls, example: str) -> Self | None:
        """The style in which 1234.5 is written so; None if it is no such example.

        Examples:
            >>> NumberStyle.of("1.234,5 kg")
            NumberStyle(decimal=',', thousands='.', unit='kg')
        """
        bare = re.sub("[\u00a0\u202f\u2009]", " ", example.strip()).replace("\u2019", "'")
        number = next((known for known in sorted(EXAMPLES, key=len, reverse=True) if known in bare), None)
        if number is None:
            return None
        before, _, after = bare.partition(number)
        if re.search(r"\d", before + after):
            return None
        unit = pl.Series([after.strip()]).str.replace(f"(?i)^(?:{CURRENCY}|%)$", "").item()
        return cls(*EXAMPLES[number], unit)

    @property
    def example(self) -> str:
        """1234.5 in this style."""
        number = next(known for known, marks in EXAMPLES.items() if marks == (self.decimal, self.thousands))
        return f"{number} {self.unit}".strip()

    @property
    def pattern(self) -> str:
        """Regular expression of a number in this style, without blanks around it.

        A grouping that can be read in one way only is accepted in every style.
        """
        decimal, other = re.escape(self.decimal), "," if self.decimal == "." else r"\."
        groups = [r"[1-9]\d{0,2}(?:[ '_]\d{3})+"]
        if self.thousands == ",,":
            groups += [r"[1-9]\d?(?:,\d{2})*,\d{3}", r"[1-9]\d{0,2}(?:,\d{3})+"]
        elif self.thousands in (",", "."):
            groups.append(rf"[1-9]\d{{0,2}}(?:{re.escape(self.thousands)}\d{{3}})+")
        whole = "|".join([r"\d+", *groups])
        number = rf"(?:{whole})(?:{decimal}\d*)?|{decimal}\d+|[1-9]\d{{0,2}}(?:{other}\d{{3}})+{decimal}\d+"
        return rf"^[-+]?(?:{number})(?:[eE][-+]?\d+)?$"


def read_numbers(cells: pl.Series, style: NumberStyle) -> pl.Series:
    """Float64 numbers from text, null where a cell is missing or no number in this style.

    Signs and codes of currencies, percent (45% is 0.45), accounting brackets, a minus behind the number, dashes for a
    minus, and blanks and quotes around a value are read in every style.

    Examples:
        >>> read_numbers(pl.Series(["1.234,5", "(12,5) €", "45 %", "twelve"]), NumberStyle(",", ".")).to_list()
        [1234.5, -12.5, 0.45, None]
    """
    text = cells.str.strip_chars()
    values = _bare(text, style)
    if values.null_count() > text.null_count():
        rest = (text.is_not_null() & values.is_null()).arg_true()
        values = values.scatter(rest, _dressed(text.gather(rest), style))
    return values


def signs(texts: pl.Series) -> list[str]:
    """The percent sign and the currencies beside numbers, the most frequent first.

    Examples:
        >>> signs(pl.Series(["5 €", "7 €", "$8", "9"]))
        ['€', '$']
    """
    found = texts.str.extract(SIGN).drop_nulls().str.strip_chars().rename("sign")
    return found.value_counts(sort=True)["sign"].to_list()


def _bare(text: pl.Series, style: NumberStyle) -> pl.Series:
    """Numbers without anything around them."""
    if style.decimal == "." and not style.thousands:
        plain = text.cast(pl.Float64, strict=False)
        return _no_nan(plain)
    return _marked(text, style)


def _marked(text: pl.Series, style: NumberStyle) -> pl.Series:
    fits = text.str.contains(style.pattern)
    other = "," if style.decimal == "." else r"\."
    bare = text.set(fits.not_().fill_null(value=True), None).str.replace_all(rf"[ '_{other}]", "")
    if style.decimal == ",":
        bare = bare.str.replace(",", ".", literal=True)
    return _no_nan(bare.cast(pl.Float64, strict=False))


def _no_nan(values: pl.Series) -> pl.Series:
    nan = values.is_nan()
    return values.set(nan, None) if nan.any() else values


def _dressed(text: pl.Series, style: NumberStyle) -> pl.Series:
    """Numbers with signs, brackets and words around them."""
    bare = text.str.replace_all(INVISIBLE, "").str.replace_all(DASHES, "-").str.replace_all("[’‘ʼ´′]", "'")  # noqa: RUF001
    # A spreadsheet writes ="5" to keep a number as text.
    bare = bare.str.replace(_FORMULA, "${1}").str.replace_all(r"\s+", " ").str.strip_chars(_QUOTES)
    if bare.str.contains(r"[^\x00-\x7F]").any():
        bare = bare.str.replace_many(_DIGITS)
    bare = bare.str.replace(_QUOTE_BEHIND_SIGN, "${1}").str.replace(_QUOTE_BEFORE_SIGN, "${1}")
    if style.unit:
        bare = bare.str.replace(rf"(?i)\s*{re.escape(style.unit)}$", "")
    bare = bare.str.replace(_HEAD, "${1}").str.replace(_TAIL, "${1}")
    percent = bare.str.contains(r"^[-+(]*\s*%|%[-)\s]*$")
    bare = bare.str.replace(r"^([-+(]*)\s*%\s*", "${1}").str.replace(r"\s*%\s*([-)]*)$", "${1}")
    bare = bare.str.replace(r"^\(\s*(.*?)\s*\)$", "-${1}").str.replace(_HEAD, "${1}").str.replace(_TAIL, "${1}")
    # A dash for no cents (5,- and 5.--) is no sign.
    bare = bare.str.replace(r"^(.*\d)[.,]\s?--?$", "${1}").str.replace(r"^([^-+].*?)\s*-$", "-${1}")
    values = _marked(bare.str.replace(r"^([-+])\s+", "${1}"), style)
    # By a series: Polars multiplies by 1/100 in place of a division by 100, which is off in the last digit.
    hundredths = values / pl.repeat(100.0, len(values), eager=True)
    return hundredths.zip_with(percent.fill_null(value=False), values)
