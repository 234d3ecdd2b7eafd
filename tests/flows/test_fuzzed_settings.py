"""Settings that are accepted run, or are refused in words."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.conftest import caller, person_table
from tests.property.fuzz.settings import mutated_content
from tests.property.fuzz.test_settings import JOB, RUN_KEYS
from tests.property.fuzz.trials import Hang, report, seeds, within
from varjepa.config import load_config
from varjepa.errors import ConfigError


@pytest.mark.slow
def test_settings_that_are_accepted_run_or_are_refused(
    migrated: Path, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    varjepa, outcomes, faults = caller(tmp_path / "home", migrated, monkeypatch), Counter[str](), list[str]()
    job = tmp_path / "job.yaml"
    person_table(120).write_csv(tmp_path / "people.csv")
    (tmp_path / "contract.yaml").write_text("columns: {}\n")
    for seed in seeds(1, 60):
        draw = random.Random(seed)
        for _ in range(1000):  # the next ones that are accepted, and neither large nor about other places
            content, keys = mutated_content(draw, JOB, RUN_KEYS)
            job.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
            if _is_small(content) and _accepted(job):
                break
        try:
            with within(120):
                answer = varjepa("retrain", job, "--json")
        except Hang as error:
            faults.append(f"{seed} {keys}: {error}\n{job.read_text()}")
            continue
        outcomes[f"exit code {answer.code}"] += 1
        if "Internal error" in answer.err or "Traceback" in answer.err:
            faults.append(f"{seed} {keys}: {answer.err[-600:]}\n{job.read_text()}")
    report(capsys, "accepted settings", outcomes, faults)


def _accepted(job: Path) -> bool:
    try:
        load_config(job)
    except ConfigError:
        return False
    return True


def _is_small(content: Any) -> bool:
    if isinstance(content, dict):
        return all(map(_is_small, content.values()))
    return not isinstance(content, int | float) or content <= 100
