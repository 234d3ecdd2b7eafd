"""What is said of hundreds of columns fits on a screen, and what a network costs follows what they are encoded as."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from varjepa.config import RetrainConfig, parse_config
from varjepa.config.encoder_sizes import PRESETS, WIDE_FEATURES
from varjepa.data.read.left_out import MOST_NAMED
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess


def test_columns_alike_take_one_line_and_the_others_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rng, rows, columns = np.random.default_rng(0), 300, 12
    constant = {f"pixel_{number}": np.zeros(rows) for number in range(150)}
    words = {f"word_{number}": [f"{value}" for value in rng.integers(0, 150, rows)] for number in range(columns)}
    kinds = dict.fromkeys(words, "categorical")
    pl.DataFrame(constant | words | {"x": rng.normal(size=rows)}).write_parquet(tmp_path / "t.parquet")
    monkeypatch.chdir(tmp_path)
    config = parse_config({"data": {"path": "t.parquet", "kinds": kinds, "task": "none"}})
    snapshot = ingest.fn(config)
    with caplog.at_level(logging.INFO, "varjepa"):
        prepared = preprocess.fn(snapshot.path, snapshot.told(config))
    assert len(prepared.left_out) == 150
    assert len(prepared.rare) == columns
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said[0].startswith('150 columns are left out, each as it has a single value: "pixel_0", "pixel_1", ')
    assert said[0].endswith(" and 142 more.")
    assert [line for line in said[1:-1] if "rare categories" in line] == said[1 : 1 + MOST_NAMED]
    assert said[1 + MOST_NAMED :] == [
        f"{columns - MOST_NAMED} further columns with rare categories, which the model card names"
    ]


def test_features_decide_sizes_not_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirteen columns of text are two hundred tokens: a generator on them took a quarter of an hour for 300 rows.

    And 250 columns of which one holds a 1 are a single token, for which no network needs to be narrow.
    """
    rng, rows = np.random.default_rng(0), 300
    texts = {f"text_{n}": [f"v{value}" for value in rng.integers(0, 150, rows)] for n in range(13)}
    kinds = rng.integers(0, 250, rows)
    groups = {f"kind_{n}": (kinds == n).astype(int) for n in range(250)}
    monkeypatch.chdir(tmp_path)

    def sized(columns: dict[str, Any]) -> tuple[int, RetrainConfig]:
        pl.DataFrame(columns | {"x": rng.normal(size=rows)}).write_parquet("t.parquet")
        config = parse_config({"data": {"path": "t.parquet", "task": "none"}})
        snapshot = ingest.fn(config)
        prepared = preprocess.fn(snapshot.path, snapshot.told(config))
        return prepared.features, prepared.sized(config)

    features, config = sized(texts)
    assert features >= WIDE_FEATURES
    assert (config.generator.n_layers, config.model.n_points) == (0, PRESETS["wide"].n_points)
    features, config = sized(groups)
    assert features < WIDE_FEATURES
    assert (config.generator.n_layers, config.model.n_points) == (3, 0)
