"""What retrain reports of a generator must rise and fall with what the generator can do."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tests.unit.inference.known_table import known_table
from varjepa.inference.generator_quality import assess, corrupt, discrimination_auc, hidden, imputed_columns


def test_a_good_generator_is_told_from_its_baselines(world: SimpleNamespace) -> None:
    found = assess(world.model, world.train, known_table(1200, 20), seed=0)
    metrics, columns = found.metrics, found.columns
    assert set(columns["feature"]) == set(world.model.preprocessor.names) - set(world.model.preprocessor.sources)
    assert metrics["imputation/rmse_to_mean"] < 0.6
    assert metrics["imputation/coverage_90"] == pytest.approx(0.93, abs=0.06)
    assert metrics["imputation/accuracy"] > metrics["imputation/accuracy_mode"] + 0.1
    assert metrics["samples/auc"] < 0.75
    assert metrics["samples/copies"] == 0
    assert metrics["anomaly/auroc"] > 0.7
    price = columns.row(by_predicate=pl.col("feature") == "price", named=True)
    assert price["rmse"] < price["rmse_mean"]
    assert price["coverage"] == pytest.approx(0.9, abs=0.06)
    assert price["cells"] == pytest.approx(240, abs=50)


def test_a_column_without_a_cell_among_the_training_rows_is_assessed(world: SimpleNamespace) -> None:
    """The baseline left it out, and answered for the columns behind it by one place."""
    empty = world.train.with_columns(price=pl.lit(None, pl.Float64))
    lines = {name: list(imputed_columns(world.model, rows, known_table(400, 20), share=0.2, seed=0))
             for name, rows in (("full", world.train), ("empty", empty))}  # fmt: skip
    for full, without in zip(lines["full"], lines["empty"], strict=True):
        if full["feature"] == "price":
            assert without["rmse_iterative"] == pytest.approx(full["rmse_mean"], rel=0.1)
        if full["feature"] == "count":
            assert full["rmse_iterative"] < without["rmse_iterative"] * 1.01 < 1.2 * full["rmse_mean"]


def test_a_single_row_is_assessed_as_far_as_it_goes(world: SimpleNamespace) -> None:
    # With a chance of a half no cell of the row is hidden, and there is nothing to compare.
    for seed in range(4):
        found = assess(world.model, world.train, known_table(1, 20), seed=seed)
        assert found.columns["cells"].sum() == found.columns.height
        assert np.isnan(found.metrics["samples/auc"])


def test_tables_are_told_apart_as_far_as_they_differ() -> None:
    rng = np.random.default_rng(0)
    one, same, other = rng.normal(size=(400, 3)), rng.normal(size=(400, 3)), rng.normal(2, 1, size=(400, 3))
    assert discrimination_auc(one, same, 0) == pytest.approx(0.5, abs=0.08)
    assert discrimination_auc(one, other, 0) > 0.95


def test_one_cell_of_every_row_is_corrupted(world: SimpleNamespace) -> None:
    rows, preprocessor = known_table(500, 21), world.model.preprocessor
    bad, where = corrupt(rows, preprocessor, seed=0)
    changed = np.stack([(rows[name].cast(pl.String) != bad[name].cast(rows[name].dtype).cast(pl.String)).to_numpy()
                        for name in preprocessor.names if name not in preprocessor.sources], 1)  # fmt: skip
    places = np.flatnonzero(preprocessor.own)  # the month of a date is no cell of its own
    assert (changed.sum(1) == (where >= 0)).all()
    assert (places[changed.argmax(1)] == where)[where >= 0].all()
    assert set(where.tolist()) == set(places.tolist())


def test_columns_of_one_feature_are_hidden_together() -> None:
    from tests.unit.data.encode.test_one_hot import fitted, table

    frame = table()
    holed = hidden(frame, fitted(frame), 0.3, 0)
    gaps = [holed[name].is_null().to_list() for name in ("colour_a", "colour_b", "colour_c")]
    assert gaps[0] == gaps[1] == gaps[2]
    assert 0 < sum(gaps[0]) < frame.height
    assert holed["x"].is_null().to_list() != gaps[0]
