"""Columns such as a customer number, whose values repeat: rows of one customer resemble each other."""

import json
from collections.abc import Mapping

from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.read.identifiers import is_named_identifier

FEWEST_KEYS = 20
"""With fewer different keys, parts by key would be uneven: they are rather categories, such as those of a shop."""

WORDS = (
    "{distinct:,} keys in {present:,} rows; if the rows of one belong together, such as those of a customer, keep them "
    "in one part with data.split: {{by: hash, column: {name}}}, which also leaves the key out of the features"
)


def repeated_keys(profiles: Mapping[str, ColumnProfile], label: str | None = None) -> dict[str, str]:
    """Columns that are called keys and repeat -> what to say about them.

    Args:
        profiles: of the columns of a table.
        label: the column to predict, which is no key.

    Examples:
        >>> import polars as pl
        >>> from varjepa.data.read.column_profile import profile
        >>> rows = pl.DataFrame({"customer_id": [number % 30 for number in range(90)]}).lazy()
        >>> list(repeated_keys(profile(rows)))
        ['customer_id']
    """
    present = {name: facts.rows - facts.missing for name, facts in profiles.items()}
    return {
        name: WORDS.format(name=json.dumps(name, ensure_ascii=False), distinct=facts.distinct, present=present[name])
        for name, facts in profiles.items()
        if name != label and is_key(facts) and FEWEST_KEYS <= facts.distinct < present[name]
    }


def is_key(facts: ColumnProfile) -> bool:
    """Whether a column is called a key and holds whole numbers or words; its values need not differ."""
    spelled_so = facts.kind in ("categorical", "text") or (facts.kind == "numeric" and facts.whole)
    return spelled_so and is_named_identifier(facts.name)
