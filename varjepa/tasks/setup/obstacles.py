"""What keeps a retrain of a table from working, as far as `init` can see it."""

from collections.abc import Collection, Mapping

from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.read.splits import FEWEST_ROWS
from varjepa.errors import listed


def obstacles(
    rows: int, profiles: Mapping[str, ColumnProfile], label: str | None, dropped: Collection[str] = ()
) -> list[str]:
    """Why a retrain will refuse the table, as sentences; empty if nothing is in the way.

    Args:
        rows: of the table.
        profiles: of its columns.
        label: the column to predict.
        dropped: columns that the user leaves out.
    """
    found = [] if rows >= FEWEST_ROWS else [f"{too_few_words(rows)}."]
    others = {name: facts for name, facts in profiles.items() if name != label and name not in dropped}
    if all(facts.left_out for facts in others.values()):
        reasons = [f'"{name}": {facts.left_out}' for name, facts in others.items()]
        whose = f" ({'; '.join(reasons[:3])}{'; ...' * (len(reasons) > 3)})" if reasons else ""
        found.append(f"No column is left to learn from{whose}.")
    if label is not None and profiles[label].distinct < 2:
        values = "a single value" if profiles[label].distinct else "no value"
        found.append(f"The label {listed([label])} has {values}: a retrain needs at least two.")
    return found


def too_few_words(rows: int) -> str:
    """What to say of a table that a retrain will refuse; empty for larger ones.

    Examples:
        >>> too_few_words(9), too_few_words(10)
        ('Only 9 rows: a retrain needs at least 10', '')
    """
    counted = f"{rows} row{'s' * (rows != 1)}"
    return f"Only {counted}: a retrain needs at least {FEWEST_ROWS}" if rows < FEWEST_ROWS else ""
