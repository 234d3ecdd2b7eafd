"""Data contracts: what a table promises, as a YAML file that a person can review.

Row rules (`nullable`, `min`, `max`, `values`, `unique`, and that a numeric column holds numbers) put the rows that
break them into quarantine; table rules (`max_missing`, `min_rows`, missing columns, `extra_columns`) and a quarantine
above `max_quarantined` stop the job.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, model_validator

from varjepa.config.base import Section, Share
from varjepa.config.load import read_text, read_yaml, validated


class ColumnContract(Section):
    """What one column promises."""

    kind: Literal["numeric", "categorical", "boolean", "date", "identifier"]
    """How its values are read; a numeric, boolean or date column whose file holds text is read as its kind."""
    required: bool = True
    """Whether the column must be there at all."""
    nullable: bool = True
    """Whether a cell may be missing (row rule)."""
    max_missing: Share = 1.0
    """Largest share of missing cells (table rule)."""
    min: float | date | None = None
    """Smallest value allowed, of numeric and date columns (row rule)."""
    max: float | date | None = None
    """Largest value allowed, of numeric and date columns (row rule)."""
    values: tuple[str, ...] | None = None
    """The values allowed, as text, of categorical columns (row rule)."""
    unique: bool = False
    """Whether no value may occur twice (row rule; every row that shares a value breaks it)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.min is not None or self.max is not None) and self.kind not in ("numeric", "date"):
            raise ValueError(f"min and max are for numeric and date columns, this one is {self.kind}")
        if self.values is not None and self.kind != "categorical":
            raise ValueError(f"values are for categorical columns, this one is {self.kind}")
        return self


class Contract(Section):
    """What a whole table promises."""

    max_quarantined: Share = 0.05
    """Largest share of rows that may go into quarantine."""
    min_rows: Annotated[int, Field(ge=1)] = 1
    """Fewest rows."""
    extra_columns: Literal["allow", "forbid"] = "allow"
    """Whether columns that the contract does not name are accepted."""
    columns: dict[str, ColumnContract] = {}
    """Promises per column."""


def load_contract(path: str | Path) -> Contract:
    """Reads a contract.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or an impossible value.
    """
    text = read_text(Path(path), "data contract")
    return validated(Contract, read_yaml(text, str(path)), str(path))


def dump_contract(contract: Contract) -> str:
    """The contract as YAML, columns in flow style and without the keys that say nothing."""
    head = contract.model_dump(mode="json", include={"max_quarantined", "min_rows", "extra_columns"})
    lines = [yaml.safe_dump(head, sort_keys=False), "columns:\n"]
    for name, column in contract.columns.items():
        entry = {name: column.model_dump(mode="json", exclude_defaults=True)}
        text = yaml.safe_dump(entry, default_flow_style=None, sort_keys=False, width=110, allow_unicode=True)
        lines += [f"  {line}\n" for line in text.splitlines()]
    return "".join(lines)
