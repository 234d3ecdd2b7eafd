"""Results of steps are reused as long as neither their inputs nor their code change."""

from pathlib import Path

import pytest

from tasks.steps.code import code_files
from tasks.steps.reuse import step_folder


def names(module: str) -> set[str]:
    root = Path(__file__).parents[4]
    return {file.relative_to(root).as_posix() for file in code_files(module)}


def test_a_step_hangs_on_the_code_it_runs_and_on_no_other() -> None:
    pretrain = names("tasks.retrain.pretrain")
    assert {"tasks/retrain/pretrain.py", "varjepa/nn/attention.py", "varjepa/training/loop.py"} <= pretrain
    assert "varjepa/objective/elbo.py" in pretrain
    assert not any(name.startswith(("varjepa/evaluation/predictors", "varjepa/config", "flows")) for name in pretrain)
    assert "varjepa/evaluation/benchmark/predictors/training.py" in names("tasks.studies.benchmark_cell")
    # Imported inside functions only.
    assert {"varjepa/data/read/sources.py", "varjepa/data/read/sim_table.py"} <= names("tasks.retrain.ingest")


def test_folders_tell_inputs_and_steps_apart() -> None:
    folder = step_folder("a", 1, code="tasks.retrain.ingest")
    assert folder == step_folder("a", 1, code="tasks.retrain.ingest")
    assert (
        len(
            {
                folder,
                step_folder("a", 2, code="tasks.retrain.ingest"),
                step_folder("a", 1, code="tasks.retrain.preprocess"),
            }
        )
        == 3
    )


def test_an_unknown_module_has_no_digest() -> None:
    with pytest.raises(ValueError, match=r'"tasks.pre" is not a module'):
        code_files("tasks.pre")
