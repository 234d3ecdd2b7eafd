"""Var-T-JEPA as people call it from a notebook, and as scikit-learn calls it."""

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.flows.conftest import SMALL, person_table
from varjepa import VarTJEPA
from varjepa.errors import ConfigError, DataError

TINY = SMALL | {"training": {"max_epochs": 1, "batch_size": 64, "warmup_epochs": 0.1}}


@pytest.mark.slow
@parametrize_with_checks([VarTJEPA(TINY)])
def test_scikit_learn_checks(estimator: VarTJEPA, check) -> None:
    check(estimator)


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


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    table = person_table()
    model = VarTJEPA(TINY).fit(table)
    model.save(tmp_path / "model")
    for other in (VarTJEPA.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(other.transform(table), model.transform(table), atol=1e-6)


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
