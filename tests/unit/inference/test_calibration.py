"""What the pipeline's calibrate step does is there for a notebook, too: measure, choose, certify."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.small_networks import SMALL
from tests.unit.inference.known_table import known_table
from varjepa.config import RetrainConfig, SplitSection, parse_config
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.calibration import (
    assumption_of,
    calibrate_model,
    choose_measure,
    measure_rows,
    without_promise,
)
from varjepa.inference.kept_embeddings import fresh
from varjepa.inference.model import TrainedModel
from varjepa.inference.probing import Probes, fit_probes
from varjepa.models.new_network import new_network


def part_of(frame: pl.DataFrame, preprocessor: Preprocessor) -> Part:
    encoded = preprocessor.encode(frame.lazy(), with_label=True).collect()
    labels = torch.tensor(encoded[LABEL].fill_null(float("nan")).to_numpy(), dtype=torch.float32)
    return Part(to_tensors(encoded, preprocessor), labels, np.arange(frame.height))


def probed(
    config: RetrainConfig, preprocessor: Preprocessor, *, train: Part, validation: Part
) -> tuple[TrainedModel, Probes]:
    """An untrained network with the probes of its label."""
    network = new_network(preprocessor.sizes, config).eval()
    probes = fit_probes(fresh(network), preprocessor, config, train=train, validation=validation)
    model = TrainedModel(config, preprocessor, network, probes.linear, probes.fitted, chosen_head=probes.chosen.head)
    return model, probes


@pytest.fixture(scope="module")
def classifier() -> SimpleNamespace:
    """A probe of `kind` on an untrained network, and the parts that it is calibrated on; a few rows have no label."""
    config = parse_config({
        "data": {"name": "table", "label": "kind"}, "model": SMALL.model_dump(), "probe": {"l2": [1e-2]},
        "uncertainty": {"ensemble": 2, "draws": 3, "masks": 2, "accuracy": 0.9},
    })  # fmt: skip
    train, *others = (known_table(600, seed) for seed in range(4))
    preprocessor = fit(train.lazy(), config.data, config.preprocess)
    gaps = pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise("kind").alias("kind")
    validation, calibration, test = (part_of(frame.with_columns(gaps), preprocessor) for frame in others)
    model, _ = probed(config, preprocessor, train=part_of(train, preprocessor), validation=validation.labelled())
    return SimpleNamespace(model=model, validation=validation, calibration=calibration, test=test)


def test_measures_that_cost_passes_are_left_out_where_some_rows_show_that_they_are_no_better(
    classifier: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, validation = classifier.model, classifier.validation
    assert not without_promise(model, validation)  # few rows: all of them choose
    monkeypatch.setattr("varjepa.inference.calibration.PILOT_ROWS", 200)  # fewer than the rows here

    def left_out(**settings: str) -> set[str]:
        # Maximum probability, then one that is worse, one that is better, and one that is equal.
        areas = iter([0.1, 0.2, 0.05, 0.1])
        # Which measures are better is told, as no small network decides it reliably.
        monkeypatch.setattr("varjepa.inference.calibration.selective_metrics", lambda *_: {"aurc": next(areas)})
        section = model.config.uncertainty.model_copy(update=settings)
        config = model.config.model_copy(update={"uncertainty": section})
        return set(without_promise(replace(model, config=config), validation))

    assert left_out() == {"mask_mean", "surprise"}
    assert left_out(score="surprise") == {"mask_mean"}
    assert left_out(known="ambiguity") == set()


@pytest.mark.slow
def test_a_model_is_calibrated_on_parts_that_do_not_meet(classifier: SimpleNamespace) -> None:
    outcome = calibrate_model(
        classifier.model, validation=classifier.validation, calibration=classifier.calibration, test=classifier.test
    )
    assert outcome.model.fitted is outcome.fitted
    assert outcome.fitted.reason
    assert outcome.fitted.certificate is not None
    assert outcome.fitted.certificate.rows == 540  # those with a label
    assert len(outcome.test.error) == 540
    assert outcome.test.rows.min() == 1  # row 0 has none
    # The figures of the certificate are those of its accepted rows.
    assert outcome.fitted.certificate.threshold is not None
    accepted = outcome.test.measures[outcome.fitted.measure] <= outcome.fitted.certificate.threshold
    assert outcome.metrics["certificate/coverage"] == pytest.approx(accepted.mean())
    assert outcome.metrics["certificate/accuracy"] == pytest.approx(1 - outcome.test.error[accepted].mean())
    assert outcome.metrics["certificate/promised"] == 0.9
    # `predict` goes by it: what it accepts are these rows.
    frame = known_table(600, 3)
    accept = outcome.model.predict(frame)["accept"].to_numpy()[outcome.test.rows]
    assert (accept == accepted).all()


@pytest.mark.slow
def test_rows_of_a_cluster_are_certified_together(classifier: SimpleNamespace) -> None:
    """Every row twice says no more than once, and the rows of 40 customers are too few, however many they are."""
    parts = {name: getattr(classifier, name) for name in ("validation", "calibration", "test")}
    copied = {
        name: part.take(torch.arange(600).repeat(2))._replace(clusters=np.tile(np.arange(600, dtype=np.uint64), 2))
        for name, part in parts.items()
    }
    once, twice = (calibrate_model(classifier.model, **each).fitted.certificate for each in (parts, copied))
    assert (once.clusters, twice.clusters, twice.rows) == (None, 540, 1080)
    assert twice.coverage == pytest.approx(once.coverage, abs=0.1)
    few = {name: part._replace(clusters=np.arange(600, dtype=np.uint64) % 20) for name, part in parts.items()}
    none = calibrate_model(classifier.model, **few).fitted.certificate
    assert none.threshold is None
    assert "in 18 clusters are too few" in none.reason


def test_a_certificate_says_what_it_assumes() -> None:
    assumed = {
        by: assumption_of(SplitSection(by=by, column=column))
        for by, column in (("time", "day"), ("hash", "customer"), ("random", None), ("column", "part"))
    }
    assert "split by time, so this is assumed" in assumed["time"]
    assert 'new values of "customer"' in assumed["hash"]
    assert "none has more rows than the largest" in assumed["hash"]
    assert assumed["random"] == "new rows are drawn like those of the table"
    assert 'the column "part" has chosen' in assumed["column"]


def test_a_measure_is_taken_by_name_and_an_unknown_one_chosen_as_by_auto(classifier: SimpleNamespace) -> None:
    rows = measure_rows(classifier.model, classifier.validation, ["max_probability", "entropy"])
    assert choose_measure("entropy", rows) == ("entropy", "the configuration names it")
    assert choose_measure("surprise", rows) == choose_measure("auto", rows)


def test_without_a_classifier_there_is_nothing_to_calibrate(world: SimpleNamespace) -> None:
    empty = Part(world.model.encode(known_table(1)), torch.zeros(1), np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="no classifier"):
        calibrate_model(world.model, validation=empty, calibration=empty, test=empty)
