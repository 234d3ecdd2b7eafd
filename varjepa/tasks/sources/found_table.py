"""A table that was found and is not opened yet."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from varjepa.data.read.sources import Source

Text = Collection[str] | None


@dataclass(frozen=True)
class FoundTable:
    """A table at its place.

    Attributes:
        description: of the place, for messages and pages; without secrets.
        fingerprint: 64 hexadecimal digits; equal where the rows are the same.
        open: opens it lazily. For a finished model it takes the columns that the model learned as text, otherwise None:
            then it is found out how columns are spelled.
        now: the fingerprint of what lies there now, if that can differ from what was found; otherwise None.
        order: what tells tables of the same fingerprint apart by the order of their rows; empty where it is the same.
    """

    description: str
    fingerprint: Callable[[], str]
    open: Callable[[Text], Source]
    now: Callable[[], str] | None = None
    order: Callable[[], str] = str
