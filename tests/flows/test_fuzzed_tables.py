"""Any table is read, validated and encoded, or refused in words; what `init` writes is accepted by what follows."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import SMALL, caller, person_table
from tests.property.fuzz.tables import Table, hostile_table
from tests.property.fuzz.trials import Hang, report, seeds, within
from varjepa.errors import ContractError, VarjepaError


@pytest.mark.slow
def test_any_table_is_read_or_refused_in_words(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    outcomes, faults, sound = Counter[str](), list[str](), person_table(80)
    varjepa = caller(tmp_path / "home", migrated, monkeypatch)
    for seed in seeds(15, 2000):
        draw, folder = random.Random(seed), tmp_path / "table"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        table = hostile_table(draw, sound, folder)
        what = f"{seed} {table.done}"
        try:
            with within(60):
                answer = varjepa("init", table.file, "--label", "rich", "--out", folder / "job.yaml", "--json")
                assert "Internal error" not in answer.err, answer.err
                if answer.code:
                    outcomes["refused by init"] += 1
                    continue
                outcomes[_taken(table, answer.json, folder / "job.yaml")] += 1
        except (Exception, Hang) as error:  # noqa: BLE001 (that is what is looked for)
            faults.append(f"{what}: {type(error).__name__}: {str(error)[:600]}")
            if place := os.environ.get("FUZZ_KEEP"):
                shutil.copytree(folder, Path(place) / str(seed), dirs_exist_ok=True)
    report(capsys, "tables", outcomes, faults)


def _taken(table: Table, answer: dict[str, Any], job: Path) -> str:
    """Runs the steps from ingest to preprocess on what `init` wrote."""
    from varjepa.config import load_config
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.validate import check_contract

    assert table.rows in (None, answer["rows"]), f"{answer['rows']} rows of {table.rows} were read"
    config = load_config(job)
    try:
        snapshot = ingest.fn(config)
        assert snapshot.rows == answer["rows"], f"init saw {answer['rows']} rows, ingest {snapshot.rows}"
        checked = check_contract.fn(snapshot, config)
        preprocess.fn(checked.clean, snapshot.told(config))
    except ContractError as error:
        raise AssertionError(f"breaks the contract that init drafted: {error}") from error
    except VarjepaError as error:
        return f"refused later ({_kind(error)})"
    return "encoded"


REASONS = {"to learn from": "few rows", "No feature": "no feature", "has 1 class": "one class",
           "no rows": "no rows", "label": "label"}  # fmt: skip


def _kind(error: VarjepaError) -> str:
    return next((kind for words, kind in REASONS.items() if words in str(error)), str(error)[:100])


@pytest.mark.slow
def test_hostile_tables_train_score_and_impute(
    migrated: Path, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    import yaml

    outcomes, faults, sound = Counter[str](), list[str](), person_table(80)
    varjepa = caller(tmp_path / "home", migrated, monkeypatch)
    for seed in seeds(1, 40):
        folder = tmp_path / "table"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        table = hostile_table(random.Random(seed), sound, folder)
        job, out = folder / "job.yaml", folder / "out"
        commands: list[tuple[Any, ...]] = [
            ("init", table.file, "--label", "rich", "--out", job), ("retrain", job),
            ("score", f"models:/fuzz{seed}@challenger", table.file, f"{out}1.csv"),
            ("impute", f"models:/fuzz{seed}@challenger", table.file, f"{out}2.parquet"),
            ("drift", f"models:/fuzz{seed}@challenger", table.file),
        ]  # fmt: skip
        for command in commands:
            try:
                with within(120):
                    answer = varjepa(*command, "--json")
            except Hang as error:
                faults.append(f"{seed} {table.done} {command[0]}: {error}")
                break
            if "Internal error" in answer.err or "Traceback" in answer.err:
                faults.append(f"{seed} {table.done} {command[0]}: {answer.err[-600:]}")
            if answer.code:
                outcomes[f"{command[0]} ended with {answer.code}"] += 1
                break
            if command[0] == "init":
                content = yaml.safe_load(job.read_text()) | SMALL | {"registry": {"name": f"fuzz{seed}"}}
                job.write_text(yaml.safe_dump(content, allow_unicode=True))
        else:
            outcomes["all commands"] += 1
    report(capsys, "tables, whole", outcomes, faults)
