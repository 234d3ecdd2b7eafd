"""Classifier and regressor as people call them from a notebook, and as scikit-learn calls them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.flows.conftest import SMALL
from varjepa import VarTJEPA, VarTJEPAClassifier, VarTJEPARegressor
from varjepa.config import SplitSection
from varjepa.data.read.splits import parts_by_content
from varjepa.errors import DataError, ModelError
from varjepa.inference.fitted_answers import without_test

TINY = SMALL | {
    "training": {"max_epochs": 1, "batch_size": 64, "warmup_epochs": 0.1}, "generator": {"n_layers": 0},
    "probe": {"head": "linear", "features": "raw", "l2": [1e-2]},
}  # fmt: skip
"""Learns little and compares no heads, in a fraction of a second."""

ROUNDING = "what is said of a row at two places of two batches differs by the rounding of 32 bits"
NAMES = "which rows calibrate follows from a hash, of names, too: x0 of an array is not 0 of a frame"
UNLIKE = {"check_methods_subset_invariance": ROUNDING, "check_methods_sample_order_invariance": ROUNDING,
          "check_regressor_data_not_an_array": NAMES}  # fmt: skip


@pytest.mark.slow
@parametrize_with_checks([VarTJEPAClassifier(TINY), VarTJEPARegressor(TINY)], expected_failed_checks=lambda _: UNLIKE)
def test_scikit_learn_checks(estimator: Any, check) -> None:
    check(estimator)


def blobs(rows: int = 240) -> tuple[pl.DataFrame, np.ndarray]:
    """A table and the number of the blob of each row, of three that hardly overlap."""
    random = np.random.default_rng(0)
    blob = np.arange(rows) % 3
    columns = {name: 4.0 * (blob == place) + random.normal(size=rows) for place, name in enumerate("abc")}
    return pl.DataFrame(columns | {"kind": random.choice(["u", "v"], rows)}), blob


LABELS = {
    "whole numbers": np.array([7, -1, 20]),
    "decimals": np.array([2.0, 0.0, 1.0]),
    "words": np.array(["red", "green", "a blue"]),
    "words that look like numbers": np.array(["10", "9", "007"], dtype=object),
    "words that look like gaps": np.array(["None", "NA", "yes"], dtype=object),
    "words that look like dates": np.array(["2026-01-01", "2025-01-01", "never"], dtype=object),
    "true and false": np.array([True, False, True]),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *((kind, "numpy") for kind in LABELS),
        *(("words that look like gaps", form) for form in ("pandas", "polars", "list", "categories")),
    ],
)
def test_classes_come_back_as_they_were_given(kind: str, form: str, tmp_path: Path) -> None:
    (table, blob), names = blobs(), LABELS[kind]
    given = names[blob]
    forms: dict[str, Any] = {"pandas": pd.Series(given), "polars": pl.Series(given.tolist()), "list": given.tolist(),
                              "categories": pd.Series(given).astype("category")}  # fmt: skip
    model = VarTJEPAClassifier(TINY).fit(table, forms.get(form, given))
    np.testing.assert_array_equal(model.classes_, np.unique(given))
    found, chances = model.predict(table), model.predict_proba(table)
    assert found.dtype.kind in {"U": "OU"}.get(given.dtype.kind, given.dtype.kind)
    assert (found == given).mean() > 0.9
    np.testing.assert_allclose(chances.sum(1), 1)
    np.testing.assert_array_equal(model.classes_[chances.argmax(1)], found)
    answers = model.answers(table, also=("set", "probabilities"))
    words = dict(zip(answers["prediction"].to_list(), found.tolist(), strict=True))
    assert len(words) == len(np.unique(given))  # each word of the model stands for one class
    model.save(tmp_path / "model")
    again = VarTJEPAClassifier.load(tmp_path / "model")
    assert (again.predict(table).astype(str) == found.astype(str)).all()


@pytest.mark.slow
def test_a_label_in_the_table_is_no_feature(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # A command in this process may have kept its loggers from passing on what they get.
    monkeypatch.setattr(logging.getLogger("varjepa"), "propagate", True)
    table, blob = blobs()
    whole = table.with_columns(blob=pl.Series(blob))
    by_config = VarTJEPAClassifier(TINY | {"data": {"label": "blob"}}).fit(whole)
    frame = whole.to_pandas()
    with_itself = VarTJEPAClassifier(TINY).fit(frame, frame["blob"])
    apart = VarTJEPAClassifier(TINY).fit(frame.drop(columns="blob"), frame["blob"])
    assert 'The column "blob" is the label, so it is no feature.' in caplog.messages
    for model in (by_config, with_itself, apart):
        assert model.model_.preprocessor.names == ["a", "b", "c", "kind"]
        np.testing.assert_array_equal(model.predict_proba(table.to_pandas()), apart.predict_proba(table.to_pandas()))


@pytest.mark.slow
def test_a_feature_that_is_called_like_the_label_stays_one() -> None:
    table, blob = blobs()
    features = table.rename({"a": "label"})
    for table, labels in (
        (features, pd.Series(blob, name="label")),
        (features.to_arrow(), blob),
        (features.lazy(), blob),
        (features, pl.Series("^[k].*$", [f"blob {number}" for number in blob])),
    ):
        model = VarTJEPAClassifier(TINY).fit(table, labels)
        assert "label" in model.model_.preprocessor.names
        assert model.score(table, np.asarray(labels)) > 0.9


@pytest.mark.slow
def test_rows_without_a_label_are_learned_from() -> None:
    table, blob = blobs()
    some = np.where(np.arange(len(blob)) % 4 == 0, np.nan, blob)
    model = VarTJEPAClassifier(TINY).fit(table, some)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.score(table, blob) > 0.9


@pytest.mark.slow
def test_cross_validation_takes_the_estimators() -> None:
    table, blob = blobs()
    assert cross_val_score(VarTJEPAClassifier(TINY), table.to_pandas(), blob, cv=2).min() > 0.8
    values = table["a"].to_numpy() + 0.1 * table["b"].to_numpy()
    assert cross_val_score(VarTJEPARegressor(TINY), table.to_pandas(), values, cv=2).min() > 0.8


@pytest.mark.slow
def test_bounds_come_from_rows_that_train_nothing() -> None:
    """Labels of calibration rows are noisy, all others are exact: bounds of exact ones would be ten times as narrow."""
    random, rows = np.random.default_rng(1), 400
    part = random.choice(["train", "validation", "calibration"], rows, p=[0.6, 0.2, 0.2])
    table = pl.DataFrame({"a": random.normal(size=rows), "b": random.normal(size=rows), "part": part})
    noise = random.normal(size=rows) * (part == "calibration")
    values = table["a"].to_numpy() + noise
    split = {"split": {"by": "column", "column": "part"}}
    model = VarTJEPARegressor(TINY | {"data": split}).fit(table, values)
    widths = model.answers(table).select(pl.col("high") - pl.col("low")).to_series()
    assert widths.median() > 2  # 90% of the noise lies within 1.64 on both sides


@pytest.mark.slow
def test_copies_of_a_row_share_a_part_and_no_row_is_taken_for_unseen() -> None:
    table, blob = blobs()
    twice = pl.concat([table, table])
    model = VarTJEPAClassifier(TINY).fit(twice, np.concatenate([blob, blob]))
    split = model.model_.config.data.split
    assert split.by == "hash"
    parts = parts_by_content(twice, split)
    assert parts is not None
    assert (parts[: len(blob)] == parts[len(blob) :]).all()
    assert set(parts.unique()) == {"train", "validation", "calibration"}


def test_the_test_part_trains_and_of_a_split_by_time_calibrates() -> None:
    time = without_test(SplitSection(by="time", column="day"))
    assert (time.train, round(time.calibration, 3)) == (0.6, 0.3)
    column = SplitSection(by="column", column="part")
    assert without_test(column) == column
    # What is recorded with a model is read again.
    for split in (without_test(SplitSection()), without_test(SplitSection(by="hash")), time):
        assert SplitSection.model_validate(split.model_dump()) == split


def test_what_cannot_be_learned_is_said() -> None:
    table, blob = blobs(60)
    with pytest.raises(DataError, match="requires y to be passed"):
        VarTJEPAClassifier(TINY).fit(table)
    with pytest.raises(DataError, match=r"of 1 class\(es\)"):
        VarTJEPAClassifier(TINY).fit(table, np.zeros(60, dtype=int))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        VarTJEPAClassifier(TINY).fit(table, blob[:-1])
    with pytest.raises(ValueError, match="continuous"):
        VarTJEPAClassifier(TINY).fit(table, np.linspace(0, 1, 60))
    for words in (["12,5"] * 60, [*blob.astype(str).tolist()[:-1], "twelve"]):
        with pytest.raises(DataError, match=f'Input y holds "{words[-1]}"'):
            VarTJEPARegressor(TINY).fit(table, words)
    with pytest.raises(DataError, match="infinity"):
        VarTJEPARegressor(TINY).fit(table, np.full(60, np.inf))


@pytest.mark.slow
def test_a_model_of_another_task_is_not_loaded(tmp_path: Path) -> None:
    table, blob = blobs(60)
    VarTJEPAClassifier(TINY).fit(table, blob).save(tmp_path / "classes")
    VarTJEPA(TINY).fit(table).save(tmp_path / "rows")
    with pytest.raises(ModelError, match="has a label for classification"):
        VarTJEPARegressor.load(tmp_path / "classes")
    with pytest.raises(ModelError, match="has no label"):
        VarTJEPAClassifier.load(tmp_path / "rows")
    assert VarTJEPA.load(tmp_path / "classes").transform(table).shape[0] == 60
