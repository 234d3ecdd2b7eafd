"""Transformed labels: any label comes back, and predictions are means, not medians."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from varjepa.config.data import DataSection, PreprocessSection
from varjepa.config.heads import ProbeSection
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.choice import choose_head
from varjepa.inference.heads.held_out import held_out_outputs
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.label_transform import LabelTransform, TransformedHead, fit_transformed
from varjepa.inference.heads.labelled import HeadData, folds_of
from varjepa.inference.heads.storage import HEAD_FILE, load_head, save_head


@settings(max_examples=80)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=5, max_size=80),
    st.sampled_from(["none", "log", "quantile"]),
    st.lists(st.floats(-2e6, 2e6, width=32), min_size=1, max_size=10),
)
def test_labels_come_back_and_keep_their_order(labels: list[float], name: str, new: list[float]) -> None:
    transform = LabelTransform.fit(name, np.array(labels))
    values = np.sort(np.array(labels + (new if name != "quantile" else [])))
    forward = transform.forward(values)
    assert np.isfinite(forward).all()
    assert (np.diff(forward) >= -1e-9).all()
    if name != "quantile":  # labels that many rows share are the only ones that quantiles keep apart
        assert np.allclose(transform.backward(forward), values, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(values).max()))


@pytest.mark.parametrize("name", ["log", "quantile"])
@pytest.mark.parametrize("labels", ["skewed", "with zeros", "negative", "two values"])
def test_any_kind_of_label_can_be_transformed(name: str, labels: str) -> None:
    rng = np.random.default_rng(100)
    values = {
        "skewed": rng.lognormal(sigma=1.5, size=500),
        "with zeros": np.where(rng.random(500) < 0.6, 0.0, rng.lognormal(size=500)),
        "negative": -rng.lognormal(size=500),
        "two values": rng.integers(2, size=500).astype(np.float64),
    }[labels]
    transform = LabelTransform.fit(name, values)
    inner = np.quantile(values, [0.1, 0.5, 0.9])
    assert np.allclose(transform.backward(transform.forward(inner)), inner, rtol=0.2, atol=0.2)
    assert LabelTransform.model_validate_json(transform.model_dump_json()) == transform


def test_equal_labels_are_left_alone() -> None:
    assert LabelTransform.fit("log", np.full(10, 3.0)).name == "none"


class Constant:
    """A head that says the same of every row."""

    kind, features = "linear", "raw"

    def __init__(self, value: float) -> None:
        self.value = value

    def outputs(self, rows: HeadRows) -> Tensor:
        return torch.full((len(rows.flat), 1), self.value, dtype=torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def facts(self) -> dict[str, float]:
        return {"value": self.value}


def mean_of(labels: np.ndarray) -> Callable[[LabelTransform], Constant]:
    return lambda transform: Constant(float(transform.forward(labels).mean()))


def rows_of(count: int) -> HeadRows:
    return HeadRows(torch.zeros(count, 1), None)  # type: ignore[arg-type]  # no cells are read


@pytest.mark.parametrize("name", ["log", "quantile"])
def test_predictions_of_a_skewed_label_are_means(name: str) -> None:
    """Of a lognormal label, the mean is 65% above what the mean logarithm is transformed back to."""
    labels, other = np.random.default_rng(101).lognormal(sigma=1.0, size=(2, 20_000))
    head = fit_transformed(name, labels, mean_of(labels), (rows_of(20_000), other))
    assert isinstance(head, TransformedHead)
    assert float(head.outputs(rows_of(1))) == pytest.approx(labels.mean(), rel=0.06)
    assert (head.kind, head.features) == ("linear", "raw")
    assert head.facts()["transform"]["name"] == name


def test_without_other_rows_a_prediction_is_transformed_back_alone() -> None:
    labels = np.random.default_rng(102).lognormal(size=2000)
    head = fit_transformed("log", labels, mean_of(labels), (rows_of(0), np.zeros(0)))
    assert float(head.outputs(rows_of(1))) == pytest.approx(np.median(labels), rel=0.1)


def test_no_transformation_gives_the_plain_head() -> None:
    head = fit_transformed("none", np.arange(5.0), lambda _: Constant(1.0), (rows_of(0), np.zeros(0)))
    assert isinstance(head, Constant)


def skewed_fitting(head: str) -> Fitting:
    """Labels that grow as the exponential of a sum: a straight line in their logarithm."""
    frames, parts = [], []
    for seed, rows in enumerate((600, 300)):
        rng = np.random.default_rng([seed, 103])
        x, y = rng.normal(size=(2, rows))
        frames.append(pl.DataFrame({"x": x, "y": y, "price": np.exp(x + y + 0.2 * rng.normal(size=rows))}))
    preprocessor = fit(frames[0].lazy(), DataSection(name="table", label="price"), PreprocessSection())
    for frame in frames:
        tensors = to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor)
        parts.append(HeadData(HeadRows(tensors.numeric, tensors), torch.from_numpy(frame["price"].to_numpy().copy())))
    return Fitting(
        *parts, preprocessor=preprocessor, n_classes=0, section=ProbeSection(head=head, features="raw"), seed=0
    )


def test_a_transformation_ships_where_it_is_better_and_comes_back_from_its_file(tmp_path: Path) -> None:
    fitting = skewed_fitting("linear")
    chosen = choose_head(fitting)
    assert isinstance(chosen.head, TransformedHead)
    assert "linear on raw, label by log" in chosen.losses
    assert chosen.losses["linear on raw, label by log"] < 0.5 * chosen.losses["linear on raw"]
    save_head(tmp_path, chosen.head)
    again = load_head(tmp_path / HEAD_FILE, fitting.preprocessor, torch.device("cpu"))
    rows = fitting.validation.rows
    assert torch.equal(again.outputs(rows), chosen.head.outputs(rows))
    held = held_out_outputs(chosen.head, fitting.train, folds_of(600, None, 0), n_classes=0, seed=0)[:, 0]
    error = held - fitting.train.labels.numpy()
    assert (error**2).mean() < 0.5 * fitting.train.labels.numpy().var()
