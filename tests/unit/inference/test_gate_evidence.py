"""What the gate gathers of one model: a metric only where it is the same question for both models."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.unit.inference.known_table import known_table
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.gate.paired_tests import fewest_units
from varjepa.evaluation.probe import LinearProbe
from varjepa.inference.gate_evidence import STRUCTURE_ROWS, gather, in_random_order
from varjepa.inference.model import TrainedModel
from varjepa.models.new_network import new_network


@pytest.fixture(scope="module")
def other(world: SimpleNamespace) -> TrainedModel:
    """An unlabelled model that reads fewer columns."""
    config = world.model.config
    preprocessor = fit(world.train.drop("count").lazy(), config.data, config.preprocess)
    return TrainedModel(config, preprocessor, new_network(preprocessor.sizes, config).eval(), None, None, None)


def test_an_elbo_is_gathered_of_models_that_read_the_same_features(world: SimpleNamespace, other: TrainedModel) -> None:
    frame = known_table(40, 5)
    evidence = gather(world.model, frame, "elbo", world.model)
    assert evidence.goodness.shape == (40,)
    assert np.isfinite(evidence.goodness).all()
    assert evidence.structure is not None
    assert (evidence.confidence, evidence.correct, evidence.accepted) == (None, None, None)
    assert gather(other, frame, "elbo", world.model).goodness is None
    assert gather(other, frame, "elbo", world.model).structure is None


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "squared_error", None])
def test_without_a_label_there_is_no_other_metric(world: SimpleNamespace, metric: str | None) -> None:
    assert gather(world.model, known_table(40, 5), metric, world.model).goodness is None


def labelled(world: SimpleNamespace, name: str) -> TrainedModel:
    """A model with a label, neither its network nor its probe trained."""
    config = world.model.config
    data = config.data.model_copy(update={"label": name, "task": "classification"})
    preprocessor = fit(world.train.lazy(), data, config.preprocess)
    network = new_network(preprocessor.sizes, config).eval()
    width = preprocessor.sizes.n_features * config.model.d_hidden
    probe = LinearProbe(torch.zeros(width), torch.ones(width), torch.randn(2, width), torch.zeros(2), 1.0)
    return TrainedModel(config, preprocessor, network, probe)


def test_answers_are_right_or_wrong_only_where_both_models_are_asked_the_same(world: SimpleNamespace) -> None:
    """Rows with a label of the challenger may have none of a champion with another label."""
    challenger, champion = labelled(world, "kind"), labelled(world, "flag")
    frame = known_table(40, 5).with_columns(pl.when(pl.int_range(pl.len()) % 4 > 0).then("flag").alias("flag"))
    evidence = [gather(model, frame, "accuracy", challenger, champion) for model in (challenger, champion)]
    assert evidence[0].correct.shape == evidence[0].goodness.shape == (40,)
    assert (evidence[1].confidence, evidence[1].correct, evidence[1].goodness) == (None, None, None)
    assert evidence[1].label == '"flag" by classification'


def test_the_first_rows_of_a_table_that_is_sorted_by_customer_stand_for_enough_customers() -> None:
    """2,000 customers of 10 rows each: in their order, the first 2,000 rows are of 200."""
    frame = pl.DataFrame({"customer": np.arange(20_000) // 10, "row": np.arange(20_000)})
    shuffled = in_random_order(frame)
    assert shuffled.sort("row").equals(frame)
    assert frame.head(STRUCTURE_ROWS)["customer"].n_unique() < fewest_units(0.025)
    assert shuffled.head(STRUCTURE_ROWS)["customer"].n_unique() > 2 * fewest_units(0.025)
