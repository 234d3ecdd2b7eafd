"""Boosted trees: the held rows choose how they grow."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from varjepa.config import parse_config
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.heads.boosted import BoostedHead, fit_boosted
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.storage import FACTS, HEAD_FILE, load_head, save_head
from varjepa.inference.heads.tree_growth import FASTER, BoostedData, Shape, Tried, _beyond_doubt
from varjepa.models.weights import read_file, write_tensors

ROWS = 5000


def fitted(frame: pl.DataFrame) -> tuple[BoostedHead, HeadRows, Preprocessor]:
    """Trees on raw columns whose shape the last fifth of the rows has chosen."""
    config = parse_config({"data": {"name": "table", "label": "class"}})
    preprocessor = fit(frame.lazy(), config.data, config.preprocess)
    encoded = preprocessor.encode(frame.lazy(), with_label=True).collect()
    rows = HeadRows(torch.zeros(frame.height, 1), to_tensors(encoded, preprocessor))
    held, labels = np.arange(frame.height) >= 0.8 * frame.height, torch.tensor(encoded[LABEL].to_numpy().copy())
    return fit_boosted(rows, labels, "raw", None, n_classes=2, held=held, seed=0), rows, preprocessor


def of_signal(signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A class that a perfect model tells as well as the signal lets it."""
    return np.where(rng.random(len(signal)) < 1 / (1 + np.exp(-signal)), "yes", "no")


def sums(rng: np.random.Generator) -> pl.DataFrame:
    """Numbers that add up."""
    x = rng.normal(size=(ROWS, 8))
    return pl.DataFrame({f"x{j}": x[:, j] for j in range(8)} | {"class": of_signal(x.sum(1), rng)})


def board(rng: np.random.Generator) -> pl.DataFrame:
    """Numbers that only tell something together."""
    x = rng.integers(0, 4, size=(ROWS, 4))
    signs = np.random.default_rng(7).choice([-3.0, 3.0], size=(4, 4, 4, 4))
    return pl.DataFrame(
        {f"x{j}": x[:, j] + rng.random(ROWS) / 2 for j in range(4)} | {"class": of_signal(signs[*x.T], rng)}
    )


def towns(rng: np.random.Generator) -> pl.DataFrame:
    """Many categories, few of which matter."""
    town = rng.integers(0, 80, size=(ROWS, 4))
    signal = 3.0 * (town == 0).sum(1) + 2.0 * (town % 40 == 1).sum(1) - 1
    return pl.DataFrame(
        {f"town{j}": [f"t{number}" for number in town[:, j]] for j in range(4)} | {"class": of_signal(signal, rng)}
    )


@pytest.mark.slow
def test_trees_grow_as_the_held_rows_need_it() -> None:
    rng = np.random.default_rng(0)
    assert fitted(sums(rng))[0].shape.depth == 4
    assert fitted(board(rng))[0].shape.depth > 4
    assert fitted(towns(rng))[0].shape.one_hot


def test_trees_of_older_versions_know_their_depth_alone(tmp_path: Path) -> None:
    head, rows, preprocessor = fitted(sums(np.random.default_rng(0)).head(300))
    save_head(tmp_path, head)
    tensors, plain = read_file(tmp_path / HEAD_FILE, torch.device("cpu"))
    later = ("one_hot", "subsample", "rate")
    facts = [{name: fact for name, fact in each.items() if name not in later} for each in json.loads(plain[FACTS])]
    write_tensors(tmp_path / HEAD_FILE, tensors, {FACTS: json.dumps(facts)})
    again = load_head(tmp_path / HEAD_FILE, preprocessor, torch.device("cpu"))
    assert isinstance(again, BoostedHead)
    assert again.shape == Shape(depth=head.shape.depth)
    np.testing.assert_array_equal(again.outputs(rows), head.outputs(rows))


@pytest.mark.slow
def test_where_the_most_trees_are_too_few_for_small_steps_the_steps_are_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = sums(np.random.default_rng(0))
    slow = fitted(frame)[0]
    monkeypatch.setattr("varjepa.inference.heads.tree_growth.MOST_TREES", 60)  # 1,500 would take a minute
    fast = fitted(frame)[0]
    assert slow.shape.rate == Shape().rate
    assert fast.shape.rate in FASTER
    assert fast.booster.num_boosted_rounds() <= 66


def test_rows_of_few_customers_change_no_shape() -> None:
    """Each of 4 customers has 50 rows, of which all trees of another shape know a little more: 1 in 16 by chance."""
    rng, customers = np.random.default_rng(0), np.repeat(np.arange(4), 50)
    usual = Tried(Shape(), 100, rng.normal(1.0, 0.1, 200))
    other = Tried(Shape(subsample=1.0), 100, usual.losses - np.array([0.01, 0.2, 0.03, 0.3])[customers])
    data = BoostedData(rng.normal(size=(200, 1)), np.zeros(200), ["q"], 0, customers).of(rng.permutation(200) < 200)
    assert _beyond_doubt(other, usual, None)
    assert not _beyond_doubt(other, usual, data.clusters)
