"""Data contracts: rules for a table, in a YAML file that people can review.

- Row rules: `nullable`, `min`, `max`, `values`, `unique`, and that a numeric column holds numbers. Rows that break one
  go into quarantine. A quarantine above `max_quarantined` stops the job.
- Table rules: `max_missing`, `min_rows`, missing columns, `extra_columns`. Breaking one stops the job.
"""

from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from varjepa.config.base import Facts, Rows, Share
from varjepa.config.data import KIND
from varjepa.config.load import validated
from varjepa.config.yaml_text import dump_yaml, read_text, read_yaml
from varjepa.errors import listed
from varjepa.visible import html_table


class ColumnContract(Facts):
    """Rules for one column."""

    kind: KIND
    """How its values are read. Text in a numeric, boolean or date column is converted to that kind."""
    required: bool = True
    """Whether the column must exist."""
    nullable: bool = True
    """Whether a cell may be missing (row rule)."""
    max_missing: Share = 1.0
    """Maximum share of missing cells (table rule)."""
    min: float | date | None = None
    """Minimum value, for numeric and date columns (row rule)."""
    max: float | date | None = None
    """Maximum value, for numeric and date columns (row rule)."""
    values: tuple[str, ...] | None = None
    """The allowed values, as text, for categorical columns (row rule)."""
    unique: bool = False
    """Whether every value may occur only once (row rule). All rows that share a value break it."""

    @property
    def rules(self) -> list[str]:
        """What is asked of the column beside its kind, in words."""
        words = {
            "may be absent": not self.required,
            "no gaps": not self.nullable,
            f"at most {self.max_missing:.1%} missing": self.nullable and self.max_missing < 1,
            f"at least {self.min}": self.min is not None,
            f"at most {self.max}": self.max is not None,
            f"one of {listed(self.values or ())}": self.values is not None,
            "no value twice": self.unique,
        }
        return [word for word, holds in words.items() if holds]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.min is not None or self.max is not None) and self.kind not in ("numeric", "date"):
            raise ValueError(f"min and max are for numeric and date columns, this one is {self.kind}")
        if self.values is not None and self.kind != "categorical":
            raise ValueError(f"values are for categorical columns, this one is {self.kind}")
        return self


class Contract(Facts):
    """Rules for a whole table."""

    max_quarantined: Share = 0.05
    """Maximum share of rows in quarantine."""
    min_rows: Rows = 1
    """Minimum number of rows."""
    extra_columns: Literal["allow", "forbid"] = "allow"
    """Whether columns that are not in the contract are accepted."""
    columns: dict[str, ColumnContract] = {}
    """Rules per column."""

    def _repr_html_(self) -> str:
        """The contract in a notebook."""
        title = (
            f"Contract: at least {self.min_rows:,} rows, at most {self.max_quarantined:.1%} in quarantine, "
            f"other columns {'allowed' if self.extra_columns == 'allow' else 'forbidden'}"
        )
        lines = [(name, column.kind, ", ".join(column.rules)) for name, column in self.columns.items()]
        return html_table(title, lines, ("column", "kind", "rules"))


def load_contract(path: str | Path) -> Contract:
    """Reads a contract.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or an invalid value.
    """
    text = read_text(Path(path), "data contract")
    return validated(Contract, read_yaml(text, str(path)), str(path))


def dump_contract(contract: Contract) -> str:
    """The contract as YAML, columns in flow style and without keys that have their default."""
    head = contract.model_dump(mode="json", include={"max_quarantined", "min_rows", "extra_columns"})
    lines = [dump_yaml(head, flow=False), "columns:\n"]
    for name, column in contract.columns.items():
        entry = {name: column.model_dump(mode="json", exclude_defaults=True)}
        text = dump_yaml(entry)
        # Not splitlines: names and values may hold what it takes for the end of a line.
        lines += [f"  {line}\n" for line in text.rstrip("\n").split("\n")]
    return "".join(lines)
