"""Columns that are no features, in words: of hundreds of columns, one sentence for each reason."""

from collections import defaultdict
from collections.abc import Mapping

from varjepa.errors import listed

MOST_NAMED = 8
"""Of hundreds of columns that are alike, so many are named; the model card names all of them."""


def by_reason(reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Reason -> the columns that are left out for it, in the order of the table.

    Examples:
        >>> by_reason({"id": "it identifies rows", "a": "it has a single value", "b": "it has a single value"})
        {'it identifies rows': ['id'], 'it has a single value': ['a', 'b']}
    """
    names = defaultdict[str, list[str]](list)
    for name, reason in reasons.items():
        names[reason].append(name)
    return dict(names)


def left_out_words(reasons: Mapping[str, str], limit: int = MOST_NAMED) -> list[str]:
    """Sentences that name columns and why they are left out.

    Args:
        reasons: name -> why, as `ColumnProfile.left_out`.
        limit: most names of a sentence.

    Examples:
        >>> left_out_words({"id": "it identifies rows", "a": "it has a single value", "b": "it has a single value"})
        ['The column "id" is left out: it identifies rows.', '2 columns are left out, each as it has a single value: "a", "b".']
    """  # noqa: E501 (what a call returns)
    return [
        f"{len(alike):,} columns are left out, each as {reason}: {listed(alike, limit)}."
        if len(alike) > 1
        else f"The column {listed(alike)} is left out: {reason}."
        for reason, alike in by_reason(reasons).items()
    ]
