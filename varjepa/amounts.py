"""Numbers in the sentences and tables that people read: shares, figures and counts that rounding does not falsify."""

import math

UNDEFINED = "undefined"
"""What stands for a number that is none, such as the R2 of a single row."""

KIB, UNITS = 1024, ("KiB", "MiB", "GiB")
"""Bytes of the smallest unit of files, and the units, each 1,024 times the one before."""

MOST_DIGITS = 15
"""Decimals beyond which floating-point numbers do not differ."""

THOUSAND = 1000.0
"""Figures from which on decimals tell nobody anything."""

BEYOND_READING = 1e9
"""Amounts from which on powers of ten are easier to read than digits."""


def share(value: float, digits: int = 1) -> str:
    """A share in percent. What is not all and not nothing reads as neither, with more digits where it takes them.

    Args:
        value: in [0, 1].
        digits: decimals of the percentage, where they are enough.

    Examples:
        >>> share(0.95), share(0.9999, 0), share(0.0002), share(1.0)
        ('95.0%', '99.99%', '0.02%', '100.0%')
    """
    if not math.isfinite(value):
        return UNDEFINED
    text = f"{value:z.{digits}%}"
    if value > 0 and not float(text[:-1]):
        return f"{100 * value:.2g}%"
    for more in range(digits, MOST_DIGITS if value < 1 else digits):
        text = f"{value:.{more}%}"
        if float(text[:-1]) < 100:
            break
    return text


def figure(value: float, digits: int = 4) -> str:
    """A figure. What is not 0 and not 1 reads as neither, and nothing reads as minus zero.

    Args:
        value: any number; thousands are written as `amount` writes them.
        digits: decimals, where they are enough; smaller values have two digits that count.

    Examples:
        >>> figure(0.86), figure(0.99997), figure(0.00000123), figure(-0.0), figure(float("nan"))
        ('0.8600', '0.99997', '1.2e-06', '0.0000', 'undefined')
        >>> figure(345.6), figure(20_722.4899)
        ('345.6000', '20,722')
    """
    if not math.isfinite(value) or abs(value) >= THOUSAND:
        return amount(value)
    if 0 < abs(value) < 10.0 ** (1 - digits):
        return f"{value:.2g}"
    text = f"{value:z.{digits}f}"
    for more in range(digits, MOST_DIGITS if abs(value) < 1 else digits):
        text = f"{value:z.{more}f}"
        if abs(float(text)) < 1:
            break
    return text


def amount(value: float, digits: int = 4) -> str:
    """A number in the unit of a column, such as a price: thousands are marked, rather than written as powers of ten.

    Args:
        value: any number.
        digits: that count.

    Examples:
        >>> amount(0.0613248), amount(3.5), amount(61_324.7), amount(6.13248e12), amount(float("nan"))
        ('0.06132', '3.5', '61,325', '6.132e+12', 'undefined')
    """
    if not math.isfinite(value):
        return UNDEFINED
    return f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < BEYOND_READING else f"{value:.{digits}g}"


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number of things.

    Args:
        number: how many, a whole number.
        noun: for one of them.
        plural: for several, if it is not `noun` and an s.

    Examples:
        >>> counted(1, "row"), counted(2000, "row"), counted(3, "class", "classes")
        ('1 row', '2,000 rows', '3 classes')
    """
    return f"{number:,.0f} {noun if number == 1 else plural or f'{noun}s'}"


def file_size(size: float) -> str:
    """A number of bytes in the largest unit of which there is one.

    Examples:
        >>> file_size(1), file_size(300), file_size(1536), file_size(5 * 2**20), file_size(2.5 * 2**40)
        ('1 byte', '300 bytes', '1.5 KiB', '5.0 MiB', '2,560.0 GiB')
    """
    if size < KIB:
        return counted(size, "byte")
    power = min(int(math.log(size, KIB)), len(UNITS))
    return f"{size / KIB**power:,.1f} {UNITS[power - 1]}"
