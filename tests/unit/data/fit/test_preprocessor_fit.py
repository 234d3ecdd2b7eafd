"""Kinds, preprocessing and splits: every edge a person's table may have."""

import numpy as np
import polars as pl
import pytest

from tests.unit.data.small_tables import N, fitted, frame
from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit import numeric_features
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.errors import DataError


def test_an_id_column_in_any_order_is_an_identifier_and_may_be_declared_otherwise() -> None:
    table = frame(customer_id=np.random.default_rng(0).permutation(10 * N)[:N])
    assert fitted(table).left_out == {"customer_id": "it identifies rows"}
    kept = fitted(table, DataSection(name="sim", kinds={"customer_id": "numeric"}))
    assert "customer_id" in kept.names


@pytest.mark.parametrize(
    ("label", "task", "classes"),
    [
        (["no", "yes"] * (N // 2), "classification", ("no", "yes")),
        ([10, 2] * (N // 2), "classification", ("2", "10")),
        (np.linspace(0, 1, N), "regression", ()),
        ([None, "x", "y", "x"] * (N // 4), "classification", ("x", "y")),
        ([None, True, False, True] * (N // 4), "classification", ("0", "1")),
    ],
)
def test_labels(label: object, task: str, classes: tuple[str, ...]) -> None:
    table = frame(target=label)
    preprocessor = fitted(table, DataSection(name="sim", label="target"))
    assert (preprocessor.label.task, preprocessor.label.classes) == (task, classes)
    assert "target" not in preprocessor.names
    encoded = preprocessor.encode(table.lazy(), with_label=True).collect()[LABEL]
    assert encoded.null_count() == table["target"].null_count()


def test_statistics_come_from_the_rows_given_and_survive_json() -> None:
    preprocessor = fitted(frame(word=["x", "y"] * (N // 2)))
    assert Preprocessor.model_validate_json(preprocessor.model_dump_json()) == preprocessor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {"text": "numeric"}}, 'The column "text" holds text'),
        ({"drop": ("number", "text")}, "No feature is left"),
    ],
)
def test_unusable_settings(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(frame(), DataSection(name="sim", **change))


@pytest.mark.slow
def test_what_is_learned_in_memory_repeats_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{k}": rng.normal(300, 20, size=400_000) for k in range(6)})
    data, settings = DataSection(path="x.csv"), PreprocessSection()
    assert len({fit(frame.lazy(), data, settings).model_dump_json() for _ in range(6)}) == 1


def test_a_nearly_empty_skewed_column_is_standardised_where_the_sample_misses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Encoding it was an error of an index: there were no knots."""
    cells = {7: 343.0, 11: 1331.0, 13: 2197.0, 1001: 1e9}
    table = pl.DataFrame({"rare": [cells.get(row) for row in range(3000)], "often": np.arange(3000) ** 3 / 7})
    monkeypatch.setattr(numeric_features, "KNOT_ROWS", 300)  # as in a table of millions of rows
    preprocessor = fit(table.lazy(), DataSection(name="t"), PreprocessSection())
    assert {feature.name: feature.transform for feature in preprocessor.numeric} == {
        "rare": "standard", "often": "quantile",
    }  # fmt: skip
    encoded = preprocessor.encode(table.lazy()).collect()["rare"].drop_nulls()
    assert encoded.to_list() == pytest.approx([-0.577, -0.577, -0.577, 1.732], abs=1e-3)
