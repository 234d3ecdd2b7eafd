"""Encoders of a benchmark: both kinds get equal steps and an equal choice of the epoch, each seed and split its own."""

import tomllib
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from varjepa.config import LIBRARIES, RetrainConfig, load_config
from varjepa.tasks.retrain.pretrain import STEP
from varjepa.tasks.studies.benchmark_runs import encoder_config, under_protocol

ROOT = Path(__file__).parents[4]
JOBS = ("adult", "covertype", "sim", "demo")


def job(name: str) -> RetrainConfig:
    return load_config(ROOT / "configs" / f"{name}.yaml", ["model.kind=var_t_jepa"])


@pytest.mark.parametrize("name", JOBS)
def test_both_kinds_have_equal_budgets_and_the_same_choice(name: str) -> None:
    one, other = (encoder_config(job(name), kind, "probe", 2) for kind in ("t_jepa", "var_t_jepa"))
    assert one.training.optimizer == "adamw"
    by_muon = {"optimizer": "muon", "lr": other.training.lr} if name == "demo" else {}
    assert one.training.model_copy(update=by_muon) == other.training
    assert (one.training.selection, one.training.patience) == ("probe", one.training.max_epochs)
    assert one.model.model_copy(update={"kind": "var_t_jepa"}) == other.model
    assert one.masking == other.masking


@pytest.mark.parametrize("name", JOBS)
def test_the_control_is_the_encoder_before_training(name: str) -> None:
    assert encoder_config(job(name), "untrained", "probe", 1) == encoder_config(job(name), "var_t_jepa", "probe", 1)


def test_own_selection_is_what_the_job_says_or_the_default_of_the_kind() -> None:
    selected = {
        kind: encoder_config(job("sim"), kind, "own", 0).training.selection for kind in ("t_jepa", "var_t_jepa")
    }
    assert selected == {"t_jepa": "auto", "var_t_jepa": "elbo"}
    assert encoder_config(job("sim"), "var_t_jepa", "own", 0) == job("sim")


def test_every_encoder_and_split_is_a_training_of_its_own() -> None:
    jobs = [
        encoder_config(under_protocol(job("sim"), "inductive", split), "t_jepa", "probe", encoder)
        for split in range(3) for encoder in range(5)
    ]  # fmt: skip
    assert {(found.data.split.seed, found.training.seed) for found in jobs} == set(product(range(3), range(5)))
    assert len({str(STEP.read(found)) for found in jobs}) == 5  # the encoded rows of a split are another input


def test_what_optional_predictors_need_is_in_the_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {Requirement(line).name for line in extras["field"]} == set(LIBRARIES.values())
