"""Var-T-JEPA as people call it from a notebook, and as scikit-learn calls it."""

import logging
import mmap
import pickle
import re
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.flows.conftest import SMALL, person_table
from tests.unit.data.read.test_identifiers import LAST
from varjepa import VarTJEPA
from varjepa.config.encoder_sizes import PRESETS
from varjepa.errors import ConfigError, DataError, ModelError
from varjepa.inference.generator_quality import assess

TINY = SMALL | {"training": {"max_epochs": 1, "batch_size": 64, "warmup_epochs": 0.1}}


@pytest.mark.slow
@parametrize_with_checks([VarTJEPA(TINY)])
def test_scikit_learn_checks(estimator: VarTJEPA, check) -> None:
    check(estimator)


@pytest.mark.slow
def test_polars_and_pandas_give_the_same_embedding_without_a_label() -> None:
    table = person_table()
    config = TINY | {"data": {"label": "rich", "drop": ["country"]}}
    model = VarTJEPA(config).fit(table)
    assert "rich" not in model.model_.preprocessor.names
    found = model.transform(table.head(50))
    assert found.shape == (50, len(model.get_feature_names_out()))
    again = VarTJEPA(config).fit(table.to_pandas())
    np.testing.assert_allclose(again.transform(table.to_pandas().head(50)), found, atol=1e-5)
    order = np.random.default_rng(0).permutation(50)
    np.testing.assert_allclose(model.transform(table.head(50)[order]), found[order], atol=1e-5)
    uncertainty = model.uncertainty(table)
    assert uncertainty.shape == (400,)
    assert (uncertainty > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("pandas", [False, True])
def test_new_rows_need_neither_the_label_nor_dropped_columns(pandas: bool) -> None:
    table, config = person_table().head(60), TINY | {"data": {"label": "rich", "drop": ["country"]}}
    model, without = VarTJEPA(config).fit(table.to_pandas() if pandas else table), table.drop("rich", "country")
    for rows in (without, table, table.drop("country")):
        np.testing.assert_array_equal(model.transform(rows.to_pandas() if pandas else rows), model.transform(without))
    with pytest.raises(ValueError, match="age"):
        model.transform(table.drop("age"))


@pytest.fixture
def progress(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What a fit logs of its progress."""
    # A command in this process may have kept its loggers from passing on what they get.
    monkeypatch.setattr(logging.getLogger("varjepa"), "propagate", True)
    caplog.set_level(logging.INFO, "varjepa.fit")
    return caplog


@pytest.mark.slow
def test_a_saved_model_comes_back_and_its_training_tells_the_time_left(
    tmp_path: Path, progress: pytest.LogCaptureFixture
) -> None:
    table = person_table()
    model = VarTJEPA(TINY).fit(table)
    assert [line for line in progress.messages if line.startswith("epoch 1 of 1: ELBO ")]
    assert progress.messages[-1].startswith("generator, step ")
    assert all("time left: " in line for line in progress.messages)
    model.save(tmp_path / "model")
    for other in (VarTJEPA.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(other.transform(table), model.transform(table), atol=1e-6)


def test_epochs_that_are_not_evaluated_are_told_without_their_elbo(progress: pytest.LogCaptureFixture) -> None:
    table = pl.DataFrame({"size": np.arange(40) % 7, "kind": ["a", "b"] * 20})
    training = TINY["training"] | {"max_epochs": 3, "eval_every": 2}
    VarTJEPA({"model": {"d_hidden": 8}, "training": training, "generator": {"n_layers": 0}}).fit(table)
    told = [line.partition(" time left: ")[0] for line in progress.messages]
    assert ["ELBO" in line for line in told] == [False, True, True]
    assert told[0] == "epoch 1 of 3:"


def test_the_table_chooses_sizes_that_nobody_gave(tmp_path: Path) -> None:
    table = pl.DataFrame({"size": np.arange(40) % 7, "kind": ["a", "b"] * 20})
    given = {"model": {"d_hidden": 8}, "training": TINY["training"], "generator": {"n_layers": 0}}
    model = VarTJEPA(given).fit(table)
    model.save(tmp_path / "model")
    for chosen in (model, VarTJEPA.load(tmp_path / "model")):
        section = chosen.model_.config.model
        assert (section.d_hidden, section.n_layers, section.size) == (8, PRESETS["small"].n_layers, "auto")
        assert section.sized(rows=10**9, features=100) == section


@pytest.mark.slow
@pytest.mark.parametrize("split", [False, True])
def test_nothing_is_learned_from_a_running_number(split: bool) -> None:
    """Noise, sorted by its label: with the running number an accuracy of .99 was reached, without it .5 is expected.

    150 test rows have a standard error of .041, so .7 is exceeded by chance once in a million times.
    """
    random = np.random.default_rng(0)
    table = pl.DataFrame({"": np.arange(400), "noise": random.normal(size=400), "kind": random.choice(["a", "b"], 400)})
    label, order = np.arange(400) < 200, random.permutation(400)
    train, test = order[:250], order[250:]
    # Without the test rows the running number has gaps.
    model = VarTJEPA(TINY).fit(table[train] if split else table)
    assert model.model_.preprocessor.left_out == {"": "it identifies rows"}
    probe = LogisticRegression().fit(model.transform(table[train]), label[train])
    assert probe.score(model.transform(table[test]), label[test]) < 0.7


@pytest.mark.slow
def test_it_works_in_a_pipeline_and_can_be_cloned() -> None:
    table = person_table()
    rows, label = table.drop("rich").to_pandas(), table["rich"].to_numpy()
    pipeline = make_pipeline(VarTJEPA(TINY), LogisticRegression(max_iter=2000))
    pipeline.set_output(transform="pandas")
    assert pipeline.fit(rows, label).score(rows, label) > 0.7
    assert clone(pipeline[0]).get_params() == pipeline[0].get_params()


@pytest.mark.parametrize(
    ("config", "rows", "error", "words"),
    [
        ({"model": {"kind": "t_jepa"}}, 50, ConfigError, "t_jepa"),
        ({"modl": {}}, 50, ConfigError, "modl"),
        (TINY, 5, DataError, "minimum of 10"),
    ],
)
def test_impossible_calls_are_explained(config: dict, rows: int, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        VarTJEPA(config).fit(pl.DataFrame({"a": np.arange(rows) % 3, "b": np.arange(rows) % 2}))


@pytest.mark.parametrize(("data", "words"), [
    ({"label": "ritch"}, 'data.label names "ritch", which is not a column. Did you mean "rich"'),
    ({"drop": ["country", "agee"]}, 'data.drop names "agee", which is not a column. Did you mean "age"'),
    ({"kinds": {"jobs": "categorical"}}, 'data.kinds names "jobs"'),
    ({"columns": {"agee": {"format": "1,5"}}}, 'data.columns names "agee"'),
])  # fmt: skip
def test_a_name_that_is_no_column_is_an_error(data: dict[str, object], words: str) -> None:
    """A misspelt label was a feature."""
    with pytest.raises(DataError, match=re.escape(words)):
        VarTJEPA(TINY | {"data": data}).fit(person_table())


@pytest.mark.parametrize("config", [{"data": None}, {"data": "x"}, 5, ["data"]])
def test_settings_that_are_none_are_explained(config: Any) -> None:
    with pytest.raises(ConfigError, match=r"data|type"):
        VarTJEPA(config).fit(person_table())


def test_impossible_questions_are_explained(tmp_path: Path) -> None:
    """A level of 95 gave the widest intervals in silence, a batch size of 0 no end, a table without rows an error."""
    table = person_table().select("age", "job").head(60)
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}, "uncertainty": {"aggregate": "p90"}}).fit(table)
    asked: dict[str, Callable[[], object]] = {
        "level is 95": lambda: model.impute(table, level=95), "level is nan": lambda: model.impute(table, level=np.nan),
        "draws is -1": lambda: model.impute(table, draws=-1), "seed is -1": lambda: model.sample(3, seed=-1),
        "rows is -5": lambda: model.sample(-5), "rows is 2.5": lambda: model.sample(2.5),
        "k is 0": lambda: model.similar(table, table, k=0), "top is -1": lambda: model.outliers(table, -1),
        "within is nan": lambda: model.near_duplicates(table, np.nan),
        "A vector of 2.0 numbers": lambda: model.vectors(table, 2.0),
        "batch_size is 0": lambda: model.model_.predict(table, batch_size=0),
        "batch_size is -1": lambda: clone_with_batches(model, -1).transform(table),
    }  # fmt: skip
    for words, ask in asked.items():
        with pytest.raises(ConfigError, match=re.escape(words)):
            ask()
    assert model.similar(table, table[:2], k=10**9).height == 2 * table.height
    assert not len(model.uncertainty(table.head(0)))
    assert model.similar(table.head(0), table[:2]).is_empty()
    with pytest.raises(ModelError, match="There is no folder"):
        VarTJEPA.load(tmp_path / "typo")
    with pytest.raises(NotFittedError):
        VarTJEPA().uncertainty(table)


@pytest.mark.parametrize("numeric", ["standard", "quantile"])
def test_a_column_whose_few_cells_are_no_training_rows_is_as_wide_as_it_is(numeric: str) -> None:
    """Training was an error of an index. Nothing is known of the column but its range, and so intervals span it."""
    order, cells = np.random.default_rng(0).permutation(200), [None] * 200
    for row, value in zip(order[:20], [1.0, 2.0, 3.0, 1e6], strict=False):  # the first tenth validates
        cells[row] = value
    table = pl.DataFrame({"rare": cells, "plain": np.random.default_rng(1).normal(size=200)})
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}, "preprocess": {"numeric": numeric}}).fit(table)
    bounds = model.impute(table).bounds.drop_nulls()
    assert bounds["rare.low"].to_list() == pytest.approx([1.0] * bounds.height)
    assert bounds["rare.high"].to_list() == pytest.approx([1e6] * bounds.height)
    assert len(model.score(table)) == 200
    assert model.sample(20, gaps=False)["rare"].null_count() == 0


@pytest.mark.slow
def test_settings_of_torch_change_nothing(tmp_path: Path) -> None:
    """With another default type models were others, and those that were saved could not be read."""
    table = person_table().select("age", "job", "since").head(60)
    config = TINY | {"generator": {"max_epochs": 1}}

    def answers(model: VarTJEPA) -> list[object]:
        filled = model.impute(table.with_columns(age=None), draws=1).draws[0]
        near = model.similar(table, table[:1])
        tables = filled, near, model.sample(5), model.score(table)
        return [model.transform(table).tolist(), *(part.rows() for part in tables)]

    usual = answers(VarTJEPA(config).fit(table))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            model = VarTJEPA(config).fit(table)
        model.save(tmp_path / "model")
        assert answers(model) == usual
        assert answers(VarTJEPA.load(tmp_path / "model")) == usual
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert answers(VarTJEPA.load(tmp_path / "model")) == usual


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="the system does not tell the memory of a process")
@pytest.mark.parametrize("fails", [False, True])
def test_after_a_fit_memory_that_is_freed_is_free(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training keeps freed memory for the next step. The rest of a notebook kept it, too, for good."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if fails:
        monkeypatch.setattr("varjepa.inference.estimator.fit_compact", interrupted)  # late in a fit
    with pytest.raises(KeyboardInterrupt) if fails else nullcontext():
        VarTJEPA(TINY).fit(person_table().select("age", "job").head(60))

    def used() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before, numbers = used(), torch.ones(2**25)  # 128 MiB
    del numbers
    assert used() < before + 2**26


def clone_with_batches(model: VarTJEPA, batch_size: int) -> VarTJEPA:
    """The same trained model with another size of batches."""
    return deepcopy(model).set_params(batch_size=batch_size)


def test_a_column_of_several_types_is_named() -> None:
    mixed = pd.DataFrame({"fine": range(60), "odd": ["a", 1, None] * 20})
    with pytest.raises(DataError, match='"odd" holds cells of the types "int", "str"'):
        VarTJEPA(TINY).fit(mixed)
    twice = pd.DataFrame(np.zeros((60, 2)), columns=["a", "a"])
    with pytest.raises(DataError, match='several columns named "a"'):
        VarTJEPA(TINY).fit(twice)


@pytest.mark.slow
def test_a_table_of_nothing_but_text() -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {"review": [f"I {rng.choice(['like', 'hate'])} my {rng.choice(LAST)} since day {k}" for k in range(90)]}
    )
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(table)
    assert np.isfinite(model.transform(table)).all()
    assert model.impute(table).filled.equals(table)
    with pytest.raises(ModelError, match="nothing but text"):
        model.sample(5)
    assert not assess(model.model_, table[:60], table[60:], seed=0).metrics


@pytest.mark.slow
def test_any_column_name_works() -> None:
    """Polars takes some of these names for patterns, in frames and in series."""
    rng, n = np.random.default_rng(0), 120
    day = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 29), eager=True)
    words = [f"Mr. {rng.choice(['Smith', 'Jones', 'Keller'])} {k} {rng.choice(['Anna', 'Paul'])}" for k in range(n)]
    columns = {
        "*": rng.normal(size=n), "^a.*$": rng.normal(size=n), "^d.*$": day, "^w.*$": rng.choice(["u", "v"], n),
        "^t.*$": words, "^f.*$": rng.random(n) < 0.3, "^n$": [f"{k},5" for k in rng.integers(1000, size=n)],
        "a\nb": rng.normal(size=n), 'q"uo\'te': rng.normal(size=n), "L" * 300: rng.normal(size=n),
        "": rng.normal(size=n), "oddity.*": rng.normal(size=n), "literal": rng.normal(size=n),
    }  # fmt: skip
    table = pl.DataFrame(columns)
    with_gaps = table.with_columns(pl.when(pl.int_range(n) % 7 != 3).then(pl.nth(place)).alias(name)
                                   for place, name in enumerate(table.columns) if name != "^t.*$")  # fmt: skip
    model = VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(with_gaps)
    assert set(model.model_.preprocessor.columns) == set(columns)
    assert np.isfinite(model.transform(with_gaps)).all()
    filled = model.impute(with_gaps, draws=1)
    assert filled.filled.columns == table.columns
    assert not any(filled.filled.null_count().row(0))
    assert model.sample(10).columns == [name for name in columns if name != "^t.*$"]
    assert {f"oddity.{name}" for name in columns if name != "^t.*$"} <= set(model.score(with_gaps).columns)
    renamed = dict(zip(columns, (f"c{k}" for k in range(len(columns))), strict=True))
    plain = with_gaps.clone()
    plain.columns = [renamed[name] for name in plain.columns]
    again = VarTJEPA(TINY | {"generator": {"max_epochs": 1}}).fit(plain)
    np.testing.assert_allclose(again.transform(plain), model.transform(with_gaps), atol=1e-6)
