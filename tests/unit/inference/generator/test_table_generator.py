"""The generator on a table whose conditionals are known: fills, intervals, samples and odd cells must agree with it."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.unit.inference.known_table import known_table, with_gaps
from varjepa.errors import ModelError
from varjepa.inference.generator.fill import Sampler
from varjepa.inference.storage import load_model, save_model
from varjepa.models.generator import class_log_prob


def test_imputations_know_the_table_and_touch_gaps_only(world: SimpleNamespace) -> None:
    truth = known_table(2000, 3)
    holed = with_gaps(truth, 0.2)
    found = world.model.impute(holed)
    assert found.filled.schema == truth.schema
    assert found.filled.null_count().sum_horizontal().item() == 0
    for name in truth.columns:
        there = holed[name].is_not_null()
        assert found.filled.filter(there)[name].equals(truth.filter(there)[name])
        assert there.not_().sum() == found.bounds[
            f"{name}.{'probability' if name in ('flag', 'kind') else 'low'}"
        ].len() - (found.bounds[f"{name}.{'probability' if name in ('flag', 'kind') else 'low'}"].null_count())
    gap = holed["price"].is_null()
    error = (found.filled.filter(gap)["price"] - truth.filter(gap)["price"]).std()
    assert error < 0.5 * truth["price"].std()
    gap = holed["kind"].is_null()
    assert (found.filled.filter(gap)["kind"] == truth.filter(gap)["kind"]).mean() > 0.85
    assert 0.7 < found.bounds["kind.probability"].drop_nulls().mean() < 1


def test_draws_are_seeded_and_no_row_depends_on_the_others(world: SimpleNamespace) -> None:
    holed = with_gaps(known_table(300, 5), 0.4)
    first = world.model.impute(holed, draws=2, seed=7)
    again = world.model.impute(holed, draws=2, seed=7, batch_size=17)
    for one, other in zip(first.draws, again.draws, strict=True):
        same = (one == other).select(pl.all().mean()).row(0)
        assert min(same) > 0.995  # rounding in a batch of another size may move a draw across an edge
    assert not first.draws[0].equals(first.draws[1])
    assert not first.draws[0].equals(world.model.impute(holed, draws=1, seed=8).draws[0])
    imputer, parts = world.model.imputer(draws=1, seed=7), []
    for start in (0, 100, 200):
        piece = holed[start : start + 100]
        parts.append(imputer.impute(piece, world.model.encode(piece)).draws[0])
    assert min((pl.concat(parts) == first.draws[0]).select(pl.all().mean()).row(0)) > 0.995


def test_draws_are_joint(world: SimpleNamespace) -> None:
    """Where both size and price are missing, their draws must go together as in the table."""
    empty = known_table(1500, 6).with_columns(size=pl.lit(None, pl.Float64), price=pl.lit(None, pl.Float64))
    drawn = world.model.impute(empty, draws=1).draws[0]
    truth = known_table(1500, 6)
    apart = (drawn["price"] - 3 * drawn["size"]).std()
    assert apart < 0.5 * (truth["price"] - truth["price"].mean()).std()


def test_samples_look_like_the_table(world: SimpleNamespace) -> None:
    sampler = world.model.sampler(seed=3)
    drawn = pl.concat([sampler.sample(900), sampler.sample(1100)])
    whole = world.model.sampler(seed=3).sample(2000, batch_size=333)
    assert drawn.schema == world.train.schema
    assert min((drawn == whole).select(pl.all().mean()).row(0)) > 0.995
    assert (drawn["size"] == 0).mean() == pytest.approx(0.3, abs=0.05)
    assert drawn["flag"].mean() == pytest.approx(0.5, abs=0.06)
    assert (drawn["price"] - 3 * drawn["size"]).std() < 1.5  # drawn independently they would be 4.4 apart
    assert ((drawn["kind"] == "large") == (drawn["size"] > 1)).mean() > 0.9
    assert ((drawn["day"].cast(pl.Int32) - 18_000) == 7 * drawn["count"]).mean() > 0.7
    assert drawn["price"].n_unique() > 1900
    assert drawn.join(world.train, on=drawn.columns, how="semi").height == 0


def test_odd_cells_are_found_and_named(world: SimpleNamespace) -> None:
    from sklearn.metrics import roc_auc_score

    good = known_table(500, 8)
    swapped = good.with_columns(
        kind=pl.when(pl.col("kind") == "small").then(pl.lit("large")).otherwise(pl.lit("small"))
    )
    far = good.with_columns(price=pl.col("price") + 40.0)
    normal = world.model.anomalies(good)
    assert normal.height == 500
    for frame, column in ((swapped, "kind"), (far, "price")):
        odd = world.model.anomalies(frame)
        truth, found = [0] * 500 + [1] * 500, [*normal["anomaly"], *odd["anomaly"]]
        assert roc_auc_score(truth, found) > 0.9
        named = odd["odd_columns"].list.head(2)
        assert named.list.contains(column).mean() > 0.9
    pieces = pl.concat([world.model.anomalies(far[start : start + 7], batch_size=3) for start in range(0, 500, 7)])
    np.testing.assert_allclose(pieces["anomaly"], world.model.anomalies(far)["anomaly"], atol=1e-3)


def test_a_saved_model_says_the_same(world: SimpleNamespace, tmp_path) -> None:
    save_model(tmp_path, world.model)
    again = load_model(tmp_path, "cpu")
    holed = with_gaps(known_table(100, 9), 0.3)
    assert again.impute(holed).bounds.equals(world.model.impute(holed).bounds)
    assert again.anomalies(holed).equals(world.model.anomalies(holed))
    assert again.sampler(seed=1).sample(50).equals(world.model.sampler(seed=1).sample(50))


def test_gaps_of_samples_are_those_of_rows(world: SimpleNamespace) -> None:
    generator = world.model.generator
    patterns = generator.reference
    # The fixture's rows have no gaps, so there is nothing to copy; with a pattern, each sample has it.
    assert world.model.sampler(seed=0, gaps=True).sample(20).null_count().sum_horizontal().item() == 0
    generator.reference = patterns.model_copy(update={"patterns": ("010000",)})
    try:
        assert world.model.sampler(seed=0).sample(0).height == 0
        drawn, complete = world.model.sampler(seed=0).sample(20), world.model.sampler(seed=0, gaps=False).sample(20)
    finally:
        generator.reference = patterns
    assert complete.null_count().sum_horizontal().item() == 0
    assert drawn.schema == complete.schema
    name = world.model.preprocessor.names[1]
    assert drawn[name].null_count() == 20
    assert drawn.null_count().sum_horizontal().item() == 20


def test_a_model_without_a_generator_says_so(world: SimpleNamespace) -> None:
    from dataclasses import replace

    bare = replace(world.model, generator=None)
    for ask in (lambda: bare.impute(world.train), bare.sampler, lambda: bare.anomalies(world.train)):
        with pytest.raises(ModelError, match="no generator"):
            ask()


def test_single_cells_are_as_likely_as_among_all(world: SimpleNamespace) -> None:
    model = world.model
    generator, table = model.generator, model.encode(with_gaps(known_table(50, 4), 0.2))
    tokens, classes = model.network.tokens(table), generator.cells.classes(table)
    with torch.inference_mode():
        every = class_log_prob(generator.generator(tokens, table.observed), classes)
        some = generator.generator.log_prob_at(tokens, table.observed, classes, torch.tensor([4, 0, 2]))
    torch.testing.assert_close(some, every[:, [4, 0, 2]])


def test_missing_cells_do_not_change_what_others_say(world: SimpleNamespace) -> None:
    generator, table = world.model.generator, world.model.encode(known_table(64, 10))
    hidden = table.observed.clone()
    hidden[:, 0] = False
    other = table._replace(numeric=table.numeric.clone(), observed=hidden)
    other.numeric[:, 0] = 99.0
    first = generator.probabilities(table._replace(observed=hidden), hidden)
    assert torch.equal(first, generator.probabilities(other, hidden))


def test_columns_of_single_rows_are_left_out_of_samples(world: SimpleNamespace) -> None:
    generator = world.model.generator
    kept = generator.preprocessor
    whole = Sampler(generator, seed=4).sample(30)
    generator.preprocessor = kept.model_copy(update={"rare": {"kind": 0.9}})
    try:
        drawn = Sampler(generator, seed=4).sample(30)
    finally:
        generator.preprocessor = kept
    assert drawn.equals(whole.drop("kind"))


def test_ends_of_intervals_look_like_cells_of_their_column(world: SimpleNamespace) -> None:
    bounds = world.model.impute(with_gaps(known_table(200, 11), 0.3)).bounds
    for name, decimals in (("count", 0), ("size", 3)):
        for end in (".low", ".high"):
            ends = bounds[f"{name}{end}"].drop_nulls()
            assert len(ends)
            assert ends.equals(ends.round(decimals))
    assert bounds["day.low"].dtype == pl.Date


def test_a_number_beyond_all_measure_is_the_oddest_cell(world: SimpleNamespace) -> None:
    frame = known_table(20, 12)
    far = frame.with_columns(price=pl.when(pl.int_range(pl.len()) == 3).then(1e90).otherwise("price"))
    found = world.model.anomalies(far)
    numbers = found.drop("odd_columns")
    assert np.isfinite(numbers.to_numpy()).all()
    assert (found["anomaly"].arg_max(), found["odd_columns"][3][0]) == (3, "price")
    assert numbers[:3].equals(world.model.anomalies(frame).drop("odd_columns")[:3])


def test_a_table_without_rows_has_draws_without_rows(world: SimpleNamespace) -> None:
    found = world.model.impute(known_table(3, 13).clear(), draws=2)
    assert [drawn.height for drawn in (found.filled, *found.draws)] == [0, 0, 0]
    assert found.draws[0].schema == found.filled.schema
