"""What the gate gathers of one model: a metric only where it is the same question for both models."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.conftest import known_table
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.gate_evidence import gather
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
