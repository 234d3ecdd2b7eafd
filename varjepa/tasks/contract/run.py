"""The validation step: checks a table against its contract and puts invalid rows into quarantine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from varjepa.data.read.contract import Contract
from varjepa.errors import ContractError, VarjepaError
from varjepa.machine import GIB, cores, memory_left
from varjepa.tasks.sources.duckdb_budget import OUT_OF_MEMORY, Budget, OutOfMemory
from varjepa.tasks.steps.imports import quick_imports
from varjepa.tasks.steps.json_text import json_text
from varjepa.tasks.steps.log import log

if TYPE_CHECKING:
    from varjepa.tasks.contract.findings import Outcome

PARTS = ("docs", "validation.json", "quarantine.parquet", "clean.parquet")
"""Outputs of a validation, in the order in which they appear. The last one marks a complete validation."""

MEMORY = 400_000_000
"""Bytes that the database takes where that is enough."""


@dataclass(frozen=True)
class Validation:
    """Outputs of a validation."""

    clean: Path
    """Parquet of the rows that meet all row rules, in their order; text is converted to the kind in the contract."""
    quarantine: Path
    """Parquet of the other rows, unchanged, with an additional column `reasons`."""
    docs: Path
    """Folder with the page `index.html` and Great Expectations' Data Docs under `gx/`."""
    rows: int
    """Rows that were checked."""
    quarantined: int
    """Rows in quarantine."""
    rules: int
    """Expectations that were evaluated."""


def validate(snapshot: Path, contract: Contract, out: Path) -> Validation:
    """Checks every row of a table.

    Args:
        snapshot: Parquet with `__row__`, the row number in the source, before the data columns.
        contract: the contract of the table.
        out: folder for the results. Results of an earlier validation are deleted first.

    Returns:
        Paths and counts.

    Raises:
        ContractError: a table rule is broken, or too many rows are invalid. All outputs except the clean rows are
            written.
        ConfigError: a bound in the contract does not fit the kind of its column.
        VarjepaError: there is not enough memory.
    """
    with _draft(out) as draft:
        outcome = _checked_in_memory(snapshot, contract, draft)
    if outcome.trouble:
        raise ContractError(
            f"The data broke its contract: {outcome.trouble}.",
            fix=f"See {out / 'docs' / 'index.html'}, then fix the data or change the contract.",
        )
    return Validation(
        clean=out / "clean.parquet",
        quarantine=out / "quarantine.parquet",
        docs=out / "docs",
        rows=outcome.rows,
        quarantined=outcome.quarantined,
        rules=len(outcome.findings),
    )


def _checked_in_memory(snapshot: Path, contract: Contract, draft: Path) -> "Outcome":
    """As `_checked`, in little memory; with as much as there is where that is not enough."""
    left = memory_left()
    for memory, threads in ((MEMORY, cores()), (max(MEMORY, (4 * GIB if left is None else left) // 2), 1)):
        try:
            return _checked(snapshot, contract, draft, memory, threads)
        except (Exception, OutOfMemory) as error:
            # The database's own error, or what Great Expectations makes of it.
            if OUT_OF_MEMORY not in str(error):
                raise
            log.warning("validation needs more than %.0f MB of memory", memory / 1e6)
            for part in draft.iterdir():
                _remove(part)
    raise VarjepaError(
        f"Validation needs more memory than there is{'' if left is None else f': {left / GIB:.1f} GiB are left'}.",
        fix="Stop other programs, raise the limit of this process or container, or leave columns out (data.drop).",
    )


def _checked(snapshot: Path, contract: Contract, draft: Path, memory: int, threads: int) -> "Outcome":
    """Validates the table and writes all outputs into `draft`."""
    with quick_imports():  # Great Expectations takes seconds
        from varjepa.tasks.contract.engine import workbench
        from varjepa.tasks.contract.expectations import build_rules, numbered
        from varjepa.tasks.contract.findings import Outcome, trace
        from varjepa.tasks.contract.page import contract_page
        from varjepa.tasks.contract.quarantine import Split, count_quarantined
        from varjepa.tasks.contract.view import ROW, open_view, select

    with workbench(draft / "docs" / "gx", draft / "spill", Budget(memory, threads)) as bench:
        kinds = {name: column.kind for name, column in contract.columns.items()}
        readings = open_view(bench, snapshot, kinds, draft / "stage.parquet")
        rules = build_rules(contract, readings)
        result = bench.judge(numbered(rules), ROW)
        bench.write_docs()
        findings = trace(rules, result)
        rows = int(bench.rows(select("count(*)"))[0][0])
        outcome = Outcome(findings, rows, count_quarantined(bench, findings), contract.max_quarantined)
        clean = None if outcome.trouble else draft / "clean.parquet"
        Split(bench, snapshot, readings, findings).write(draft / "beside.parquet", clean, draft / "quarantine.parquet")
    (draft / "docs" / "index.html").write_text(contract_page(outcome, "gx/index.html"), encoding="utf-8")
    compact = json_text(result.to_json_dict(), separators=(",", ":"), ensure_ascii=False)
    (draft / "validation.json").write_text(compact, encoding="utf-8")
    return outcome


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """A temporary folder to write into. Its outputs are moved to `out` when all of them are complete."""
    out.mkdir(parents=True, exist_ok=True)
    for stale in [*(out / name for name in reversed(PARTS)), *out.glob(".validating-*")]:
        _remove(stale)
    with TemporaryDirectory(dir=out, prefix=".validating-") as folder:
        draft = Path(folder)
        yield draft
        for name in PARTS:
            if (draft / name).exists():
                (draft / name).replace(out / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
