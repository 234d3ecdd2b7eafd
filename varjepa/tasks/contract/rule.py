"""A rule of a contract, known without Great Expectations, whose import takes seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One rule of the contract."""

    column: str
    """Name of the column in the file; empty for rules about the whole table."""
    says: str
    """The rule in words."""
    expectation: Any
    """The rule for Great Expectations, over the view."""
    broken: str = ""
    """SQL condition over the view for the rows that break the rule; empty for table rules."""
    reason: str = ""
    """SQL text over the view: what is wrong with such a row."""
    tell: Callable[[Any], str] = str
    """Table rules: turns the value that Great Expectations observed into words."""
