"""The results of a validation: one per rule, and whether the table meets the contract as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from varjepa.amounts import counted, share
from varjepa.tasks.contract.rule import Rule
from varjepa.tasks.contract.view import ROW


@dataclass(frozen=True)
class Finding:
    """The result of one rule."""

    rule: Rule
    kept: bool
    """Whether the table meets the rule."""
    broken: int
    """Rows that break it; 0 for table rules."""
    examples: tuple[str, ...]
    """Row rules: some of the rows that break it, with their values."""
    problem: str
    """Table rules: what is wrong; empty if nothing is."""


@dataclass(frozen=True)
class Outcome:
    """The results of all rules."""

    findings: tuple[Finding, ...]
    rows: int
    quarantined: int
    """Rows that break a row rule."""
    allowed: float
    """Maximum share of such rows."""

    @property
    def trouble(self) -> str:
        """Why the table breaks the contract as a whole; empty if it does not."""
        problems = [finding.problem for finding in self.findings if finding.problem]
        if self.quarantined and (self.quarantined > self.allowed * self.rows or self.quarantined == self.rows):
            part = share(self.quarantined / self.rows, 2)
            problems.append(
                f"{self.quarantined:,} of {counted(self.rows, 'row')} ({part}) break row rules,"
                f" expected at most {share(self.allowed, 2)}; most often {self._worst()}"
            )
        return "; ".join(problems)

    def _worst(self) -> str:
        broken = sorted((each for each in self.findings if each.broken), key=lambda each: -each.broken)
        return ", ".join(
            f'"{each.rule.column}": {each.rule.says} ({counted(each.broken, "row")})' for each in broken[:3]
        )


def trace(rules: Sequence[Rule], result: Any) -> tuple[Finding, ...]:
    """The result of each rule, in the order of the rules.

    Args:
        rules: as given to `numbered`.
        result: an `ExpectationSuiteValidationResult`.

    Raises:
        RuntimeError: Great Expectations could not evaluate a rule, which is a bug in varjepa.
    """
    by_number = {single.expectation_config.meta["rule"]: single for single in result.results}
    return tuple(_finding(rule, by_number[number]) for number, rule in enumerate(rules))


def _finding(rule: Rule, single: Any) -> Finding:
    if single.exception_info.get("raised_exception") is not False:
        raise RuntimeError(f"Great Expectations could not check {rule.column} {rule.says}: {single.exception_info}")
    kept = bool(single.success)
    if not rule.broken:
        problem = "" if kept else rule.tell(single.result.get("observed_value"))
        return Finding(rule, kept=kept, broken=0, examples=(), problem=problem)
    examples = tuple(_example(cell) for cell in single.result.get("partial_unexpected_index_list") or ())
    broken = int(single.result.get("unexpected_count") or 0)
    return Finding(rule, kept=kept, broken=broken, examples=examples, problem="")


def _example(cell: Mapping[str, Any]) -> str:
    values = [value for name, value in cell.items() if name != ROW and value is not None]
    return f"row {cell[ROW]}" + "".join(f": {value}" for value in values)
