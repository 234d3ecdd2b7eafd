"""Divides a table into the rows that meet all row rules and the rows that break one, streaming in bounded memory.

One DuckDB query writes a small file: for each row the reasons why it is invalid, and its text cells converted to their
kind. Polars then reads the table and this file side by side, so all other columns stay exactly as they were.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from varjepa.data.cells import by_name, column
from varjepa.tasks.contract.findings import Finding
from varjepa.tasks.contract.view import POSITION, Database, Reading, free, quoted, select

REASONS = "reasons"

# By default Polars reads far ahead and holds half a gigabyte while it writes. That is not faster.
os.environ.setdefault("POLARS_ROW_GROUP_PREFETCH_SIZE", "1")


def count_quarantined(database: Database, findings: Sequence[Finding]) -> int:
    """Counts the rows that break a row rule.

    Raises:
        RuntimeError: our SQL and Great Expectations disagree on a rule, which is a bug.
    """
    broken = [finding for finding in findings if finding.broken]
    if not broken:
        return 0
    conditions = [f"({finding.rule.broken})" for finding in broken]
    counts = [f"count(*) FILTER ({condition})" for condition in [" OR ".join(conditions), *conditions]]
    total, *singles = (int(count) for count in database.rows(select(", ".join(counts)))[0])
    for finding, count in zip(broken, singles, strict=True):
        if count != finding.broken:
            rule = f"{finding.rule.column}, {finding.rule.says}"
            raise RuntimeError(f"{rule}: {finding.broken} rows by Great Expectations, {count} by ours")
    return total


class Split:
    """The two parts of a table, written on demand."""

    def __init__(
        self, database: Database, snapshot: Path, readings: Mapping[str, Reading], findings: Sequence[Finding]
    ) -> None:
        self._database = database
        self._snapshot = snapshot
        self._broken = [finding.rule for finding in findings if finding.broken]
        taken = {name.lower() for name in readings}
        self._reasons = free(REASONS, taken)
        self._typed = {name: (reading, free(name, taken)) for name, reading in readings.items() if reading.is_text}

    def write(self, beside: Path, clean: Path | None, quarantine: Path) -> None:
        """Writes the two parts, in the order of the rows.

        Args:
            beside: path of the small file.
            clean: path of the rows that meet all rules; None to leave them out.
            quarantine: path of the other rows, with an additional column for the reasons.
        """
        table = pl.scan_parquet(self._snapshot, glob=False)
        if not self._broken:
            table.head(0).with_columns(pl.lit("").alias(self._reasons)).sink_parquet(quarantine)
        if not self._broken and not self._typed:
            if clean is not None:
                shutil.copyfile(self._snapshot, clean)
            return
        self._write_beside(beside)
        both = pl.concat([table, pl.scan_parquet(beside, glob=False)], how="horizontal")
        names = table.collect_schema().names()
        if self._broken:
            is_broken = column(self._reasons).is_not_null()
            both.filter(is_broken).select(*by_name(names), self._reasons).sink_parquet(quarantine)
        if clean is not None:
            typed = [
                column(self._typed[name][1]).alias(name) if name in self._typed else column(name) for name in names
            ]
            both.filter(column(self._reasons).is_null()).select(typed).sink_parquet(clean)

    def _write_beside(self, path: Path) -> None:
        reasons = [f"CASE WHEN {rule.broken} THEN {rule.reason} END" for rule in self._broken] or ["NULL"]
        cells = [f"nullif(concat_ws('; ', {', '.join(reasons)}), '') AS {quoted(self._reasons)}"]
        cells += [f"{self._cell(reading)} AS {quoted(name)}" for reading, name in self._typed.values()]
        # Sorted because a query does not keep the order of rows.
        query = select(", ".join(cells), f"ORDER BY {quoted(POSITION)}")
        self._database.copy(query, path, columns=len(cells))

    def _cell(self, reading: Reading) -> str:
        """SQL for a text cell converted to its kind. A date column without any time of day has type DATE."""
        value = quoted(reading.value)
        if reading.kind != "date":
            return value
        ((has_times,),) = self._database.rows(select(f"bool_or({value} != date_trunc('day', {value}))"))
        return value if has_times else f"CAST({value} AS DATE)"
