"""The benchmark's arithmetic, its settings and its corrupted tables."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from varjepa.config import benchmark_config
from varjepa.data.read.sim_table import blended_with_noise
from varjepa.errors import ConfigError
from varjepa.evaluation.benchmark.published import published_accuracies
from varjepa.evaluation.benchmark.tables import duels, table_rows, tally

CONFIGS = Path(__file__).parents[4] / "configs"


def goodness(accuracy: float, rows: int = 4000, seeds: int = 3) -> np.ndarray:
    """The first rows are right in all seeds."""
    return np.tile(np.arange(rows) < accuracy * rows, (seeds, 1)).astype(float)


def test_duels_tell_clear_differences_from_none() -> None:
    cells = {
        ("t", "var_t_jepa", "mlp"): goodness(0.9),
        ("t", "t_jepa", "mlp"): goodness(0.8),
        ("t", "raw", "mlp"): goodness(0.9),
        ("t", "raw", "xgboost"): goodness(0.5),
    }
    found = {(duel.features, duel.rival): duel.difference for duel in duels(cells)}
    assert set(found) == {("var_t_jepa", "t_jepa"), ("var_t_jepa", "raw"), ("t_jepa", "raw")}
    better = found["var_t_jepa", "t_jepa"]
    assert better.difference == pytest.approx(0.1)
    assert better.low < 0.1 < better.high
    assert better.outcome == "win"
    assert (found["var_t_jepa", "raw"].outcome, found["t_jepa", "raw"].outcome) == ("tie", "loss")
    counts = tally(duels(cells))
    assert counts["var_t_jepa", "raw"] == {"win": 0, "tie": 1, "loss": 0, "at or above": 1}
    assert counts["t_jepa", "raw"] == {"win": 0, "tie": 0, "loss": 1, "at or above": 0}


def test_rows_of_the_table_hold_mean_deviation_and_published_figure() -> None:
    metrics = {("adult", "raw", "mlp"): {"accuracy": [0.8, 0.9], "f1_macro": [0.7]}}
    first, second = table_rows(metrics, published_accuracies())
    assert (first.mean, first.sd, first.seeds) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2)
    assert first.published == 0.849
    assert (second.sd, second.published) == (None, None)


def test_every_published_cell_is_there() -> None:
    found = published_accuracies()
    full = [key for key in found if key[3] == "accuracy"]
    assert len(full) == 7 * 6 * 3
    assert len(found) == 7 * 6 * (3 + 3)


@pytest.mark.parametrize("name", ["adult", "covertype", "electricity", "credit", "bank", "mnist", "sim"])
def test_every_published_data_set_has_a_config(name: str) -> None:
    config = benchmark_config([str(CONFIGS / f"{name}.yaml")], [f"{name}.training.lr=0.5", "seeds=2"])
    assert config.seeds == 2
    job = config.datasets[name]
    assert (job.training.lr, job.model.d_hidden, job.masking.num_targets) == (0.5, 64, 4)
    assert ("ambiguity" in job.data.drop) == (name in ("mnist", "sim"))


@pytest.mark.parametrize(
    ("datasets", "overrides", "words"),
    [
        (["no_such"], [], "no_such.yaml"),
        ([str(CONFIGS / "demo.yaml")], ["demo.data.label=null"], "has no label"),
        ([str(CONFIGS / "demo.yaml")], ["predictors=[mlp,tabnet]"], "tabnet"),
        ([str(CONFIGS / "demo.yaml")], ["trainig.epochs=2"], "training"),
    ],
)
def test_impossible_settings_are_named(datasets: list[str], overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        benchmark_config(datasets, overrides)


def test_noise_is_blended_by_the_known_ambiguity() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({f"p{j}": rng.integers(0, 256, 500) for j in range(40)} | {"label": rng.integers(0, 9, 500)})
    table = table.with_columns(p3=pl.when(pl.int_range(500) % 7 > 0).then("p3"))
    noisy = blended_with_noise(table, share=0.75, seed=1, label="label")
    assert noisy.columns == [*table.columns, "ambiguity"]
    assert noisy["label"].equals(table["label"])
    assert noisy["p3"].null_count() == table["p3"].null_count()
    assert noisy["ambiguity"].is_between(0, 1).all()
    names = [f"p{j}" for j in range(40) if j != 3]
    moved = np.abs(noisy.select(names).to_numpy() - table.select(names).to_numpy()).mean(1)
    assert np.corrcoef(moved, noisy["ambiguity"].to_numpy())[0, 1] > 0.95
    assert noisy.equals(blended_with_noise(table, share=0.75, seed=1, label="label"))
