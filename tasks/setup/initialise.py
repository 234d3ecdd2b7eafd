"""`varjepa init`: looks at a table, writes a config and a data contract for a person to review."""

import math
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from tasks.steps.files import write_text
from varjepa.config import DataSection
from varjepa.data.cells import as_text
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.column_profile import ColumnProfile
from varjepa.data.read.contract import ColumnContract, Contract, dump_contract
from varjepa.data.read.sources import open_path, readable
from varjepa.errors import ConfigError, DataError, listed, nearest

MOST_VALUES = 60
"""A column with more categories than this promises none of them in its draft contract."""

LARGE, EPOCH_ROWS = 5_000_000, 1_000_000
"""Of a table with more rows than the first, an epoch is to have as many as the second: a pass may take a day."""

MARGIN = 0.1
"""Draft ranges reach this share of the observed range beyond it."""


@dataclass(frozen=True)
class Started:
    """What `init` saw and wrote."""

    config: Path
    contract: Path
    rows: int
    label: str | None
    profiles: dict[str, ColumnProfile]

    def summary(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        columns = {
            name: {"kind": facts.kind, "missing": facts.missing_share, "distinct": facts.distinct}
            for name, facts in self.profiles.items()
        }
        written = {"config": str(self.config), "contract": str(self.contract)}
        return written | {"rows": self.rows, "label": self.label, "columns": columns}


def initialise(data: str, *, label: str | None, out: Path | None, force: bool) -> Started:
    """Profiles a table and writes `OUT` and `contracts/OUT` beside it.

    Raises:
        DataError: the table cannot be read, or has no rows.
        ConfigError: the label is no column, or a file would be overwritten.
    """
    name = Path(data.rstrip("/*")).name.split(".")[0] or "table"
    config = out or Path(f"{name}.yaml")
    contract = config.parent / "contracts" / f"{config.stem}.yaml"
    existing = [str(path) for path in (config, contract) if path.exists()]
    if existing and not force:
        raise ConfigError(f"{listed(existing)} would be overwritten.", fix="Use --force, or another --out.")
    section = DataSection(path=data)
    source = open_path(data, section)
    with readable(data):
        rows = StreamedRows(source.frame)
    if not rows.rows:
        raise DataError(f"{data} has no rows.", expected="Expected a header line and rows.")
    if label is not None and label not in rows.schema:
        raise ConfigError(f'The label "{label}" is no column of {data}.', fix=nearest(label, list(rows.schema)))
    with readable(data):
        profiles = rows.whole_profiles()
        drafted = _contract_text(source.frame, rows.rows, profiles)
    contract.parent.mkdir(parents=True, exist_ok=True)
    write_text(contract, drafted)
    started = Started(config, contract, rows.rows, label, profiles)
    write_text(config, _config_text(data, started))
    return started


def _contract_text(frame: pl.LazyFrame, rows: int, profiles: dict[str, ColumnProfile]) -> str:
    drafted = {
        name: column_contract(frame.select(name), facts) for name, facts in profiles.items() if facts.kind != "nested"
    }
    contract = Contract(min_rows=max(1, rows // 2), columns=drafted)
    head = (
        f"# Data contract, drafted from {rows:,} rows. It says what was seen, not what is right: review it.\n"
        "# Row rules (nullable, min, max, values, unique) quarantine the rows that break them; table rules\n"
        "# (max_missing, min_rows, missing columns, extra_columns) and more than max_quarantined stop the job.\n"
    )
    return head + dump_contract(contract)


def column_contract(column: pl.LazyFrame, facts: ColumnProfile) -> ColumnContract:
    """A draft of what one column promises, from what was seen of it and, of few categories, its cells."""
    missing = facts.missing_share
    promised: dict[str, Any] = {"kind": facts.kind}
    two_numbers = facts.kind == "boolean" and facts.dtype.is_numeric() and (facts.smallest, facts.largest) != (0, 1)
    if facts.kind in ("constant", "empty") or two_numbers:
        promised["kind"] = "numeric" if facts.dtype.is_numeric() else "categorical"
    if facts.kind != "empty":
        promised["nullable"] = missing > 0
    if 0 < missing < 1:
        promised["max_missing"] = min(1.0, math.ceil(200 * missing + 5) / 100)
    if facts.kind == "identifier":
        promised["unique"] = True
    elif promised["kind"] in ("numeric", "date") and facts.smallest is not None:
        promised["min"], promised["max"] = draft_range(facts.smallest, facts.largest, whole=facts.whole)
    elif facts.kind == "categorical" and facts.distinct <= MOST_VALUES:
        values = column.select(as_text(facts.name, facts.dtype)).drop_nulls().unique().collect(engine="streaming")
        promised["values"] = tuple(values.to_series().sort())
    return ColumnContract(**promised)


def draft_range(smallest: Any, largest: Any, *, whole: bool) -> tuple[Any, Any]:
    """The observed range, widened; what was never negative stays so.

    Examples:
        >>> draft_range(1, 101, whole=True)
        (0, 111)
    """
    if isinstance(smallest, date):
        days = [value.date() if isinstance(value, datetime) else value for value in (smallest, largest)]
        return days[0], days[1] + (days[1] - days[0]) / 2
    reach = MARGIN * (largest - smallest)
    low = smallest - reach if smallest < 0 else max(0, smallest - reach)
    high = largest + reach
    if whole:
        return math.floor(low), math.ceil(high)
    digits = max(0, 3 - math.floor(math.log10(reach))) if reach > 0 else 6
    return round(low, digits), round(high, digits)


def _config_text(data: str, seen: Started) -> str:
    away = {name: facts.left_out for name, facts in seen.profiles.items() if facts.left_out and name != seen.label}
    place = Path(data).expanduser().absolute()
    home = seen.config.parent.absolute()
    path = place.relative_to(home) if place.is_relative_to(home) else place
    content: dict[str, Any] = {
        # Rows keep their parts when the table grows, so that champions never learn from a challenger's test rows.
        "data": {"path": str(path), "label": seen.label, "split": {"by": "hash"}},
        "contract": {"path": str(seen.contract.relative_to(seen.config.parent))},
        "registry": {"name": seen.config.stem},
    }
    notes = [f"# {name} is left out by itself: {why}." for name, why in away.items()]
    if seen.label is None:
        notes.append("# data.label names a column to predict; without one the validation ELBO selects the model.")
    if seen.rows > LARGE:
        content["training"] = {"epoch_rows": EPOCH_ROWS}
        notes.append("# Epochs share a pass over the rows (training.epoch_rows); training.max_epochs says how many.")
    notes.append("# Put wrong kinds right under data.kinds; name columns to leave out under data.drop.")
    notes.append("# All keys and their defaults: varjepa schema.")
    return "\n".join([f"# Retrain job for {Path(data).name}.", *notes, yaml.safe_dump(content, sort_keys=False)])
