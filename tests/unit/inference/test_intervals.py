"""Intervals of a regressor: sizes of errors are learned from rows that it was not fitted on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from varjepa.config.data import DataSection, PreprocessSection
from varjepa.config.heads import ProbeSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.uncertainty.predictive import Arms, fit_rule
from varjepa.inference.answer_columns import class_columns, number_columns
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.held_out import held_out_outputs
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import HeadData, folds_of
from varjepa.inference.interval_storage import INTERVALS, load_intervals, save_intervals
from varjepa.inference.intervals import FittedIntervals, fit_intervals

ROWS = 1200


def table(rows: int, seed: int) -> pl.DataFrame:
    """price = 2 x, with noise that is five times as large for dear kinds."""
    rng = np.random.default_rng([seed, 110])
    x, dear = rng.normal(size=rows), rng.random(rows) < 0.5
    noise = np.where(dear, 1.0, 0.2) * rng.normal(size=rows)
    kinds = np.where(dear, "dear", "cheap")
    return pl.DataFrame({"x": x, "kind": kinds, "price": 2 * x + noise}).with_columns(
        x=pl.when(pl.int_range(pl.len()) % 20 > 0).then("x")  # gaps
    )


def data_of(preprocessor: Preprocessor, frame: pl.DataFrame) -> HeadData:
    tensors = to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor)
    flat = torch.from_numpy(np.random.default_rng(111).normal(size=(frame.height, 4)).astype(np.float32))
    return HeadData(HeadRows(flat, tensors), torch.from_numpy(frame["price"].to_numpy().astype(np.float32)))


@pytest.fixture(scope="module")
def fitting() -> Fitting:
    frame = table(ROWS, 0)
    preprocessor = fit(frame.lazy(), DataSection(name="houses", label="price"), PreprocessSection())
    parts = data_of(preprocessor, frame), data_of(preprocessor, table(300, 1))
    return Fitting(*parts, preprocessor=preprocessor, n_classes=0, section=ProbeSection(), seed=0)


@pytest.fixture(scope="module")
def fitted(fitting: Fitting) -> FittedIntervals:
    return fit_intervals(fitting, fitting.head("linear", "raw"))


def predictions(fitting: Fitting, data: HeadData) -> np.ndarray:
    return fitting.head("linear", "raw").outputs(data.rows)[:, 0].numpy()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "features"), [("linear", "raw"), ("boosted", "raw")])
def test_errors_on_rows_that_were_held_out_are_as_large_as_on_new_ones(fitting: Fitting, kind, features) -> None:
    head, train = fitting.head(kind, features), fitting.train
    held = held_out_outputs(head, train, folds_of(ROWS, None, 0), n_classes=0, seed=0)[:, 0]
    assert held.shape == (ROWS,)
    truth = train.labels.numpy()
    own, new = head.outputs(train.rows)[:, 0].numpy() - truth, data_of(fitting.preprocessor, table(3000, 5))
    fresh = head.outputs(new.rows)[:, 0].numpy() - new.labels.numpy()
    assert (held - truth).std() == pytest.approx(fresh.std(), rel=0.15)
    assert own.std() <= (held - truth).std()


def test_larger_errors_have_larger_sizes_and_wider_quantiles(fitting: Fitting, fitted: FittedIntervals) -> None:
    frame = table(400, 2).drop_nulls()
    data = data_of(fitting.preprocessor, frame)
    dear, guess = (frame["kind"] == "dear").to_numpy(), predictions(fitting, data)
    size = fitted.size(data.rows, guess)
    assert size[dear].mean() > 2.5 * size[~dear].mean()
    maps = fitted.maps(data.rows, guess, "quantile")
    width = maps.values[:, -1] - maps.values[:, 0]
    assert width[dear].mean() > 2.5 * width[~dear].mean()
    assert fitted.methods == ("split", "normalised", "quantile")


@pytest.mark.parametrize("method", ["split", "normalised", "quantile"])
def test_a_rule_gives_intervals_that_survive_their_file(
    fitting: Fitting, fitted: FittedIntervals, method: str, tmp_path: Path
) -> None:
    held = data_of(fitting.preprocessor, table(500, 3))
    maps = fitted.maps(held.rows, predictions(fitting, held), method)
    calibrated = fitted.calibrated(fit_rule((method, Arms(), ""), maps, held.labels.double().numpy(), 0.9), None)
    assert len(calibrated.trees) == 1
    save_intervals(tmp_path, calibrated)
    again = load_intervals(tmp_path / INTERVALS, torch.device("cpu"))
    new = data_of(fitting.preprocessor, table(1000, 4))
    columns, same = (number_columns(one, new.rows, predictions(fitting, new)) for one in (calibrated, again))
    assert list(columns) == ["uncertainty", "low", "high"]
    assert all((columns[name] == same[name]).all() for name in columns)
    inside = (columns["low"].to_numpy() <= new.labels.numpy()) & (new.labels.numpy() <= columns["high"].to_numpy())
    assert 0.86 < inside.mean() < 0.94
    # As if a row were alone.
    few = number_columns(again, new.rows.take(slice(3, 5)), predictions(fitting, new)[3:5])
    assert all((few[name] == columns[name][3:5]).all() for name in columns)


def test_few_rows_have_no_trees() -> None:
    frame = table(60, 6)
    preprocessor = fit(frame.lazy(), DataSection(name="houses", label="price"), PreprocessSection())
    data = data_of(preprocessor, frame)
    fitting = Fitting(data, data, preprocessor=preprocessor, n_classes=0, section=ProbeSection(), seed=0)
    fitted = fit_intervals(fitting, fitting.head("linear", "raw"))
    assert fitted.methods == ("split",)
    columns = number_columns(fitted, data.rows, np.zeros(60))
    assert list(columns) == ["uncertainty"]
    assert columns["uncertainty"].n_unique() == 1


def test_all_probabilities_are_there_without_a_rule() -> None:
    columns = class_columns(None, np.array([[0.2, 0.8]]), ("no", "yes"), ("set", "probabilities"))
    assert {name: values.to_list() for name, values in columns.items()} == {
        "probability.no": [0.2], "probability.yes": [0.8]
    }  # fmt: skip


def test_rows_of_one_cluster_leave_none_to_learn_the_size_of_errors_from(fitting: Fitting) -> None:
    together = fitting.train._replace(clusters=np.zeros(ROWS, dtype=np.uint64))
    fitted = fit_intervals(replace(fitting, train=together), fitting.head("linear", "raw"))
    assert fitted.methods == ("split",)
    assert fitted.spread > 0
