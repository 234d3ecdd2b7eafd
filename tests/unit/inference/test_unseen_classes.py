"""Rows of a class that training has not seen are errors in every figure; rows without a label are in none."""

import numpy as np
import polars as pl
import pytest
import torch

from tests.small_networks import SMALL
from tests.unit.inference.known_table import known_table
from tests.unit.inference.test_calibration import part_of, probed
from varjepa.config import parse_config
from varjepa.data.encode.features import LABEL, Label
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.calibration import calibrate_model
from varjepa.inference.drift_counts import count_columns, unseen_words
from varjepa.inference.probing import predict_rows, probe_metrics
from varjepa.inference.row_statistics import principal_directions, row_statistics


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.Enum(["0", "1", "2"])])
def test_no_label_and_an_unseen_class_are_told_apart(dtype: pl.DataType) -> None:
    words = ["1", "0", None, "1"] if dtype == pl.Boolean else ["1", "0", None, "2"]
    column = pl.Series("y", words)
    column = column == "1" if dtype == pl.Boolean else column.cast(dtype)
    classes = ("1",) if dtype == pl.Boolean else ("1", "0")
    label = Label(name="y", dtype=str(dtype), task="classification", classes=classes)
    frame = column.to_frame()
    encoded = frame.select(label.encode(frame.schema))
    expected = [0.0, 1.0, None, 0.0] if dtype == pl.Boolean else [0.0, 1.0, None, 2.0]
    assert encoded[LABEL].to_list() == expected
    learnable = [number is not None and number < len(classes) for number in expected]
    assert encoded.select(label.can_predict(pl.col(LABEL))).to_series().to_list() == learnable


@pytest.mark.slow
def test_every_figure_counts_them_as_errors() -> None:
    config = parse_config({
        "data": {"name": "table", "label": "kind"}, "model": SMALL.model_dump(), "probe": {"l2": [1e-2]},
        "uncertainty": {"ensemble": 2, "draws": 2, "masks": 2, "accuracy": 0.6},
    })  # fmt: skip
    train, *others = (known_table(500, seed) for seed in range(4))
    preprocessor = fit(train.lazy(), config.data, config.preprocess)
    # Every fifth row has a class of its own, every tenth row none.
    number = pl.int_range(pl.len())
    kind = pl.when(number % 5 == 1).then(pl.lit("never seen")).when(number % 10 == 0).then(None).otherwise("kind")
    others = [frame.with_columns(kind.alias("kind")) for frame in others]
    validation, calibration, test = (part_of(frame, preprocessor) for frame in others)
    label = preprocessor.label
    assert label is not None
    known = validation.take((validation.labels < len(label.classes)).nonzero().squeeze(1))
    model, probes = probed(config, preprocessor, train=part_of(train, preprocessor), validation=known)
    truth = others[2]["kind"]
    predicted = model.predict(others[2])["prediction"]
    accuracy = float((predicted == truth).mean())  # null where there is no label
    metrics = probe_metrics(predict_rows(model, probes.baselines, test, keep=10)[0], label)
    assert metrics["head/accuracy"] == pytest.approx(accuracy)
    assert metrics["unseen_class_rows"] == 100
    assert metrics["guess/accuracy"] == max((truth == word).sum() for word in label.classes) / 450
    outcome = calibrate_model(model, validation=validation, calibration=calibration, test=test)
    assert 1 - outcome.test.error.mean() == pytest.approx(accuracy)
    assert outcome.fitted.certificate is not None
    assert outcome.fitted.certificate.rows == 450
    directions = principal_directions(model, model.encode(train))
    correct = row_statistics(model, others[2], directions)["correct"]
    assert np.nanmean(correct.values) == pytest.approx(accuracy)
    assert np.isnan(correct.values).sum() == 50
    sample = count_columns(preprocessor, others[2])[1]
    assert (sample.other, sample.missing, sum(sample.counts)) == (100, 50, 350)
    assert unseen_words(preprocessor, others[2])["kind"] == {"never seen": 100}
    assert torch.isnan(test.labels).sum() == 50
