"""Which encoders and predictors a benchmark computes, and with which seeds."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.config import BenchmarkConfig, FeatureSet, parse_config
from varjepa.flows import benchmark
from varjepa.flows.benchmark import SplitTable

JOB = parse_config({"data": {"name": "sim", "label": "label"}, "training": {"seed": 40}})


@pytest.mark.parametrize("features", ["raw", "untrained"])
def test_runs_of_a_feature_set_share_no_seed_between_encoders_or_splits(
    features: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw columns, too: one search for all of their runs would be luck that no interval shows."""
    encoders: list[int] = []
    # Records the seeds; what the encoders would learn does not matter.
    monkeypatch.setattr(benchmark, "untrained", lambda _, job: encoders.append(job.training.seed))
    monkeypatch.setattr(benchmark, "embed_rows", lambda *_: SimpleNamespace())
    config = BenchmarkConfig(
        datasets={"sim": JOB}, predictors=("linear", "skrub_trees"), seeds=2, encoder_seeds=3, splits=2, seed=7
    )
    prepared = SimpleNamespace(encoded=Path("rows"))
    plans = [
        plan for split in (0, 1)
        for plan in benchmark._feature_plans(config, SplitTable("sim", split, JOB, prepared), features, "run")
    ]  # fmt: skip
    linear = [plan for plan in plans if plan.predictor == "linear"]
    assert [(plan.split, plan.encoder) for plan in linear] == [(split, n) for split in (0, 1) for n in (0, 1, 2)]
    assert [seed for plan in linear for seed in plan.seeds] == list(range(7, 7 + 2 * 3 * 2))
    assert encoders == ([] if features == "raw" else list(range(40, 46)))
    assert len({plan.name for plan in plans}) == len(plans) == (12 if features == "raw" else 6)
