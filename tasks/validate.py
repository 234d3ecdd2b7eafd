"""The validation step: checks a table against its contract and puts the rows that break it into quarantine."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from varjepa.data.contract import Contract
from varjepa.errors import ContractError

if TYPE_CHECKING:
    from tasks.expectations import Finding

PARTS = ("docs", "validation.json", "quarantine.parquet", "clean.parquet")
"""What a validation leaves behind, in the order in which it appears: the last one says that all is done."""


@dataclass(frozen=True)
class Validation:
    """What a validation leaves behind."""

    clean: Path
    """Parquet of the rows that keep every row rule, in their order; text of numeric, boolean and date columns as such."""
    quarantine: Path
    """Parquet of the other rows as found, with one more column `reasons`."""
    docs: Path
    """Folder with `index.html` for people and Great Expectations' Data Docs under `gx/`."""
    rows: int
    """Rows that were checked."""
    quarantined: int
    """Rows in quarantine."""
    rules: int
    """Expectations that were evaluated."""


def validate(
    snapshot: Path, contract: Contract, out: Path, label: str | None = None, *, memory_limit: str = "1GB"
) -> Validation:
    """Checks every row of a table.

    Args:
        snapshot: Parquet with `__row__`, the row number in the source, before the data columns.
        contract: what the table promises.
        out: folder for the results; those of an earlier validation go first.
        label: a column that must be there even if the contract does not name it.
        memory_limit: what the database may use, such as "400MB"; it spills to `out` beyond that.

    Returns:
        Paths and counts.

    Raises:
        ContractError: a table rule is broken, or too many rows are; everything but the clean rows is written.
        ConfigError: the contract compares a column with something of another kind.
    """
    # Great Expectations takes seconds to import.
    from tasks.contract_view import ROW, VIEW, open_view
    from tasks.expectations import build_rules, numbered, trace
    from tasks.gx_duckdb import workbench
    from tasks.quarantine import Split, count_quarantined
    from tasks.validation_page import render_page

    with _draft(out) as draft, workbench(draft / "docs" / "gx", draft / "spill", memory_limit) as bench:
        readings = open_view(bench, snapshot, {name: column.kind for name, column in contract.columns.items()})
        rules = build_rules(contract, readings, label)
        result = bench.judge(VIEW, numbered(rules), ROW)
        findings = trace(rules, result)
        bench.write_docs()
        rows = int(bench.rows(f"SELECT count(*) FROM {VIEW}")[0][0])
        quarantined = count_quarantined(bench, findings)
        trouble = _trouble(findings, rows, quarantined, contract.max_quarantined)
        clean = None if trouble else draft / "clean.parquet"
        Split(bench, snapshot, readings, findings).write(draft / "beside.parquet", clean, draft / "quarantine.parquet")
        page = render_page(
            findings,
            rows=rows,
            quarantined=quarantined,
            allowed=contract.max_quarantined,
            trouble=trouble,
            docs="gx/index.html",
        )
        (draft / "docs" / "index.html").write_text(page, encoding="utf-8")
        compact = json.dumps(result.to_json_dict(), separators=(",", ":"), ensure_ascii=False)
        (draft / "validation.json").write_text(compact, encoding="utf-8")
    if trouble:
        raise ContractError(
            f"The data broke its contract: {trouble}.",
            fix=f"Look at {out / 'docs' / 'index.html'}, then correct the data or change the contract.",
        )
    return Validation(
        out / "clean.parquet", out / "quarantine.parquet", out / "docs", rows, quarantined, rules=len(rules)
    )


def _trouble(findings: Sequence["Finding"], rows: int, quarantined: int, allowed: float) -> str:
    """What breaks the contract as a whole, or an empty text."""
    told = [finding.told for finding in findings if finding.told]
    if quarantined and (quarantined > allowed * rows or quarantined == rows):
        worst = sorted((finding for finding in findings if finding.broken), key=lambda finding: -finding.broken)[:3]
        most = ", ".join(f"{each.rule.column} not {each.rule.says} in {each.broken:,}" for each in worst)
        told.append(
            f"{quarantined:,} of {rows:,} rows ({quarantined / rows:.2%}) break row rules, expected at most"
            f" {allowed:.2%}; most often: {most}"
        )
    return "; ".join(told)


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A folder to write into, whose parts appear in `out` under their names once all of them are whole."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in [*(out / name for name in reversed(PARTS)), *out.glob(".validating-*")]:
        _remove(stale)
    with TemporaryDirectory(dir=out, prefix=".validating-") as folder:
        draft = Path(folder)
        yield draft
        for name in PARTS:
            if (draft / name).exists():
                os.replace(draft / name, out / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
