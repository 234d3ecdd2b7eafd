"""Any command line ends in a result or in words, within a minute."""

import random
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.flows.conftest import caller
from tests.property.fuzz.command_lines import Home, command_line
from tests.property.fuzz.trials import Hang, report, seeds, within


def test_any_command_line_ends_in_a_result_or_in_words(
    handed_over: SimpleNamespace, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "home"
    shutil.copytree(handed_over.home, folder)
    home = Home(folder / handed_over.job.name, next(folder.glob("*.csv")), handed_over.model, handed_over.uri)
    varjepa, outcomes, faults = caller(folder, migrated, monkeypatch), Counter[str](), list[str]()
    for seed in seeds(12, 200):
        words = command_line(random.Random(seed), home)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        try:
            with within(60):
                answer = varjepa(*words)
        except Hang as error:
            faults.append(f"{seed} {words}: {error}")
            continue
        outcomes[f"exit code {answer.code}"] += 1
        said = f"{seed} {words}: exit code {answer.code}\n{answer.err[-600:]}"
        if "Internal error" in answer.err or "Traceback" in answer.err or answer.code not in {0, 1, 2, 3}:
            faults.append(said)
        elif "--json" in words and words[0] not in {"ui", "servers", "schedule", "schema"}:
            try:
                assert isinstance(answer.json, dict)
            except (ValueError, IndexError, AssertionError):
                faults.append(f"no JSON object: {said}")
    report(capsys, "command lines", outcomes, faults)
