"""Which rows a model has learned from, by its split or by the hashes of its rows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from varjepa.config import parse_config
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.row_hash import hashes_in_pieces
from varjepa.data.read.sources import ROW
from varjepa.tasks.release.unseen import LEARNED, learned_by_challenger, learned_by_rule, write_learned
from varjepa.tasks.retrain.preprocess import preprocess


def made(folder: Path, split: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The prepared rows of a table, and what a model made of them says of its split and features."""
    rng = np.random.default_rng(0)
    table = pl.DataFrame({ROW: range(400), "x": rng.normal(size=400), "y": rng.choice(["no", "yes"], 400)})
    table.with_columns(moment=pl.col(ROW) * 2.0).write_parquet(folder / "clean.parquet")
    config = parse_config({"data": {"path": "clean.parquet", "label": "y", "drop": ["moment"], "split": split}})
    monkeypatch.chdir(folder)
    prepared = preprocess.fn(folder / "clean.parquet", config)
    data = config.data.model_copy(update={"split": prepared.split})
    model: Any = SimpleNamespace(
        config=SimpleNamespace(data=data), preprocessor=Preprocessor.read(prepared.preprocessor)
    )
    return SimpleNamespace(prepared=prepared, model=model)


@pytest.mark.slow
@pytest.mark.parametrize("split", [{"by": "random"}, {"by": "hash"}, {"by": "time", "column": "moment"}])
def test_rows_that_were_learned_from_are_recognised(tmp_path: Path, monkeypatch, split: dict[str, Any]) -> None:
    at_hand = made(tmp_path, split, monkeypatch)
    learned, test = (at_hand.prepared.raw(*parts).drop(ROW).collect() for parts in (LEARNED, ["test"]))
    # The label does not say whether a row was learned from, nor does the order of columns and rows.
    rows = pl.concat([test, learned.reverse()]).select("y", "moment", "x").with_columns(y=pl.lit("yes"))
    expected = np.arange(400) >= test.height
    np.testing.assert_array_equal(learned_by_challenger(at_hand.prepared, at_hand.model, rows), expected)
    write_learned(at_hand.prepared, tmp_path / "learned.parquet")
    if split["by"] == "hash":  # the split is recorded with the model, and says it all
        assert not (tmp_path / "learned.parquet").exists()
        return
    hashes = pl.read_parquet(tmp_path / "learned.parquet")["hash"].to_numpy()
    own = np.concatenate(list(hashes_in_pieces(rows.lazy(), at_hand.model.preprocessor.columns)))
    np.testing.assert_array_equal(np.isin(own, hashes), expected)


def test_without_the_hashed_columns_nothing_is_known(tmp_path: Path, monkeypatch) -> None:
    at_hand = made(tmp_path, {"by": "hash", "columns": ["x", "moment"]}, monkeypatch)
    rows = at_hand.prepared.raw("train").drop(ROW).collect()
    assert learned_by_rule(at_hand.model, rows).all()
    assert learned_by_rule(at_hand.model, rows.drop("moment")) is None


@pytest.mark.parametrize("by", ["random", "hash"])
def test_a_model_that_saw_all_rows_has_learned_from_its_test_rows(tmp_path: Path, monkeypatch, by: str) -> None:
    at_hand = made(tmp_path, {"by": by, "seen": "all"}, monkeypatch)
    test = at_hand.prepared.raw("test").drop(ROW).collect()
    assert learned_by_challenger(at_hand.prepared, at_hand.model, test).all()
