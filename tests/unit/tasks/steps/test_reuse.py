"""Results of steps are reused as long as neither their inputs nor their code change."""

import logging
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.waiting import eventually
from varjepa.tasks.steps.code import code_files
from varjepa.tasks.steps.reuse import DONE, own_results_known, reuse, step_folder


def names(module: str) -> set[str]:
    root = Path(__file__).parents[4]
    return {file.relative_to(root).as_posix() for file in code_files(module)}


def test_a_step_hangs_on_the_code_it_runs_and_on_no_other() -> None:
    pretrain = names("varjepa.tasks.retrain.pretrain")
    assert {"varjepa/tasks/retrain/pretrain.py", "varjepa/nn/attention.py", "varjepa/training/loop.py"} <= pretrain
    assert "varjepa/objective/elbo.py" in pretrain
    assert not any(
        name.startswith(("varjepa/evaluation/predictors", "varjepa/config", "varjepa/flows")) for name in pretrain
    )
    assert "varjepa/evaluation/benchmark/predictors/training.py" in names("varjepa.tasks.studies.benchmark_cell")
    # Imported inside functions only.
    assert {"varjepa/data/read/sources.py", "varjepa/data/read/sim_table.py"} <= names("varjepa.tasks.retrain.ingest")


DIGESTED = """
import sys
from varjepa.tasks.steps.reuse import code_digest
code_digest("varjepa.tasks.retrain.probe")
print([name for name in ("varjepa.tasks.retrain", "torch", "sklearn", "xgboost") if name in sys.modules])
"""


@pytest.mark.slow
def test_code_is_read_and_not_imported() -> None:
    done = subprocess.run([sys.executable, "-c", DIGESTED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_folders_tell_inputs_and_steps_apart() -> None:
    folder = step_folder("a", 1, code="varjepa.tasks.retrain.ingest")
    assert folder == step_folder("a", 1, code="varjepa.tasks.retrain.ingest")
    assert (
        len(
            {
                folder,
                step_folder("a", 2, code="varjepa.tasks.retrain.ingest"),
                step_folder("a", 1, code="varjepa.tasks.retrain.preprocess"),
            }
        )
        == 3
    )


def test_an_unknown_module_has_no_digest() -> None:
    with pytest.raises(ValueError, match=r'"varjepa.tasks.pre" is not a module'):
        code_files("varjepa.tasks.pre")


@dataclass(frozen=True)
class Figures:
    values: dict[str, float]
    place: Path


def test_a_result_comes_back_as_it_was_even_where_a_figure_is_no_number(tmp_path: Path) -> None:
    figures = Figures({"nan": math.nan, "inf": math.inf, "one": 1.0}, tmp_path / "a")
    made = []

    def make() -> Figures:
        made.append(1)
        return figures

    first, again = (reuse(tmp_path / "step-0", Figures, make) for _ in range(2))
    assert made == [1]
    assert math.isnan(again.values.pop("nan"))
    assert again.values == {"inf": math.inf, "one": 1.0}
    assert (first.place, again.place) == (tmp_path / "a", tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b'{"values": {"one"', bytes(20)])
def test_a_result_that_a_loss_of_power_has_left_empty_is_made_again(tmp_path: Path, content: bytes) -> None:
    figures = Figures({"one": 1.0}, tmp_path)
    reuse(tmp_path / "step-0", Figures, lambda: figures)
    (tmp_path / "step-0" / DONE).write_bytes(content)
    assert [reuse(tmp_path / "step-0", Figures, lambda: figures) for _ in range(2)] == [figures, figures]


def test_who_waits_for_a_step_says_so_and_finds_a_folder_even_if_it_was_removed_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `varjepa clean` removes it: under the lock, and under another name first."""
    caplog.set_level(logging.INFO, "varjepa")
    folder = tmp_path / "step-0"
    folder.mkdir()

    def make() -> Figures:
        (folder / "rows").write_text("made")
        return Figures({}, folder)

    with ThreadPoolExecutor(1) as other:
        with FileLock(folder.with_suffix(".lock")):
            waiting = other.submit(reuse, folder, Figures, make)
            eventually(lambda: "another process works on the same step" in caplog.text, "a word")
            folder.rename(tmp_path / "removed")
        assert waiting.result(30).place == folder
    assert (folder / "rows").read_text() == "made"


def test_only_the_templates_that_a_page_renders_count_as_its_code() -> None:
    assert [file.name for file in code_files("varjepa.tasks.contract.page") if file.suffix == ".html"] == [
        "base.html", "contract.html"
    ]  # fmt: skip


def test_pretraining_does_not_hang_on_what_measures_it() -> None:
    measured_by = ("varjepa/inference", "varjepa/evaluation/uncertainty", "varjepa/evaluation/gate")
    assert not [name for name in names("varjepa.tasks.retrain.pretrain") if name.startswith(measured_by)]


def test_what_a_run_has_made_itself_is_not_said_to_be_of_an_earlier_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "varjepa")
    for _ in range(2):
        with own_results_known():
            for _ in range(2):
                reuse(tmp_path / "step-0", Figures, lambda: Figures({}, tmp_path))
    said = [record.getMessage().removesuffix(f", reusing {tmp_path / 'step-0'}") for record in caplog.records]
    # The first run makes it and reads it again; for the second one, it is an earlier run's.
    assert said == ["step starts", "step: made earlier in this run", *["step: nothing has changed"] * 2]
