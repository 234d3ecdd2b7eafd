"""Labels that are joined to scores written before: as words, and with what else is known of their rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.small_networks import SMALL
from varjepa.config import parse_config
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.evaluation.outcomes import Outcomes, judged, outcome_metrics
from varjepa.inference.model import TrainedModel
from varjepa.models.new_network import new_network
from varjepa.tasks.outcomes.evaluate import outcomes_of
from varjepa.tasks.outcomes.labels import Labelled, scored_before

ROWS = 400


def untrained(words: pl.Series, **split: object) -> TrainedModel:
    """A model of a label with these words; what is tested does not ask its network."""
    frame = pl.DataFrame({"size": np.arange(len(words)) % 7.0, "y": words})
    config = parse_config({"data": {"name": "table", "label": "y", "split": split}, "model": SMALL.model_dump()})
    preprocessor = fit(frame.lazy(), config.data, config.preprocess)
    return TrainedModel(config, preprocessor, new_network(preprocessor.sizes, config).eval(), None)


def joined(folder: Path, model: TrainedModel, scores: pl.DataFrame, labels: pl.DataFrame) -> tuple[int, Outcomes]:
    """Rows that were judged, and what came of them."""
    scores.write_csv(folder / "scores.csv")
    labels.write_csv(folder / "labels.csv")
    label = model.preprocessor.label
    assert label is not None
    question = Labelled("a model", str(folder / "labels.csv"), str(folder / "scores.csv"), "key")
    answers, rows = scored_before(model, question, label)
    return answers.height, outcomes_of(model, label, answers, rows)


@pytest.mark.parametrize("classes", [("1.50", "2.50"), ("01", "02"), ("1e3", "2e3"), ("True", "False"), ("yes", "no")])
def test_classes_and_keys_that_look_like_numbers_stay_words(tmp_path: Path, classes: tuple[str, str]) -> None:
    words = pl.Series([classes[n % 2] for n in range(ROWS)])
    table = pl.DataFrame({"key": [f"{n:05}" for n in range(ROWS)], "prediction": words})
    rows, outcomes = joined(tmp_path, untrained(words), table, table.rename({"prediction": "y"}))
    assert (rows, outcomes.correct is not None and outcomes.correct.all()) == (ROWS, True)


def test_cells_that_are_no_number_are_no_label(tmp_path: Path) -> None:
    values = pl.Series(np.arange(ROWS) / 7)
    keys = [f"k{n}" for n in range(ROWS)]
    labels = pl.DataFrame({"key": keys, "y": ["unknown", *map(str, values[1:])]})
    rows, outcomes = joined(tmp_path, untrained(values), pl.DataFrame({"key": keys, "prediction": values}), labels)
    assert (rows, outcome_metrics(outcomes)["rmse"]) == (ROWS - 1, pytest.approx(0.0, abs=1e-9))


def test_customers_are_clusters_where_the_labels_name_them_and_classes_never_are(tmp_path: Path) -> None:
    words = pl.Series(["yes", "no"] * (ROWS // 2))
    keys = pl.Series("key", [f"k{n}" for n in range(ROWS)])
    scores = pl.DataFrame({"key": keys, "prediction": ["yes"] * ROWS})
    labels = pl.DataFrame({"key": keys, "y": words, "customer": np.arange(ROWS) // 4})
    customers, copies = ({"by": "hash", "column": "customer"}, {"by": "hash", "columns": ["size"]})
    _, outcomes = joined(tmp_path, untrained(words, **customers), scores, labels)
    assert outcomes.clusters is not None
    assert len(np.unique(outcomes.clusters)) == ROWS // 4
    for split in (customers, copies):
        _, outcomes = joined(tmp_path, untrained(words, **split), scores, labels.drop("customer"))
        assert outcomes.clusters is None
        assert outcomes.correct is not None
        assert judged("certificate", outcomes.correct, 0.9, outcomes.clusters).verdict == "broken"
