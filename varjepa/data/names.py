"""Names of columns that are not taken yet."""

from collections.abc import Iterable


def free_name(name: str, taken: set[str]) -> str:
    """The name, with a number if it is taken; marks it as taken.

    Examples:
        >>> free_name("day (month)", {"day (month)"})
        'day (month) 2'
    """
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name} {number}"
    taken.add(unused)
    return unused


def free_names(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Each name with one that is free, most often itself.

    Examples:
        >>> free_names(["row", "size"], ["row", "uncertainty"])
        {'row': 'row 2', 'size': 'size'}
    """
    used = set(taken)
    return {name: free_name(name, used) for name in names}
