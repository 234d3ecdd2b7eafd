"""Settings of the benchmark."""

from pathlib import Path

import pytest

from varjepa.config import benchmark_config, study_config
from varjepa.errors import ConfigError

CONFIGS = Path(__file__).parents[3] / "configs"


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
        ([str(CONFIGS / "demo.yaml")], ["splits=2", "demo.data.split={by: time, column: x1}"], "one split only"),
        ([str(CONFIGS / "demo.yaml")], ["predictors=[skrub_trees]", "features=[t_jepa]"], "need the feature set raw"),
    ],
)
def test_impossible_settings_are_named(datasets: list[str], overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        benchmark_config(datasets, overrides)


def test_what_is_named_twice_is_computed_once() -> None:
    """Cells that come twice would count every test row twice, and find differences that are none."""
    lists = {"predictors": ["mlp", "linear", "mlp"], "features": ["raw", "raw"], "labels": ["50", "all", "50"]}
    config = benchmark_config([str(CONFIGS / "demo.yaml")], [], **lists)
    assert (config.predictors, config.features, config.labels) == (("mlp", "linear"), ("raw",), (50, "all"))
    assert study_config([], variants=["A", "B", "A"], runs=1).variants == ("A", "B")
