"""A column that is called like a statistic of the model is neither described nor recorded as that statistic."""

import numpy as np

from varjepa.config.operations import DriftSection, TrackingSection
from varjepa.evaluation.drift.samples import Numbers
from varjepa.evaluation.drift.tests import Subject, find_drift
from varjepa.tasks.drift.compare import Drift, Question, _add_words, _by_rows
from varjepa.tasks.drift.record import drift_metrics
from varjepa.tasks.drift.report import lines_of, verdict


def test_columns_named_like_statistics_are_told_from_them() -> None:
    rng, section = np.random.default_rng(0), DriftSection()
    before = Numbers.of(rng.normal(size=1000))
    same, moved = (Numbers.of(rng.normal(step, size=1000), knots=before.knots) for step in (0.0, 2.0))
    subjects = [
        Subject("probability", "column", before, moved), Subject("probability", "model", before, same),
        Subject("latent_1", "label", before, same), Subject("latent_1", "model", before, moved),
        Subject("age", "column", before, moved),
    ]  # fmt: skip
    findings = find_drift(subjects, section)
    tracking = TrackingSection(uri="sqlite:///none.db", experiment="none")
    words = {"probability": {"a new word": 3}}
    drift = Drift(Question("a model", "rows"), "table", tracking, section, 1000, 1000, findings, words, {})
    says = {(line["name"], line["group"]): line["says"] for line in lines_of(drift)}
    assert says["probability", "column"].startswith("column probability: ")
    assert says["probability", "model"].startswith("the confidence of the head: ")
    assert says["latent_1", "label"].startswith("label latent_1: ")
    metrics = drift_metrics(drift)
    moves = {name.removeprefix("drift/effect/"): value > 0.3 for name, value in metrics.items() if "/effect/" in name}
    assert moves == {
        "column probability": True, "probability": False, "label latent_1": False, "latent_1": True, "age": True
    }  # fmt: skip


def test_the_table_of_training_starts_no_retrain_and_the_verdict_does_not_deny_its_drift() -> None:
    before = Numbers.of(np.arange(1000.0))
    findings = find_drift([Subject("age", "column", before, Numbers.of(np.arange(1000.0) + 500, knots=before.knots))],
                          DriftSection())  # fmt: skip
    tracking = TrackingSection(uri="sqlite:///none.db", experiment="none")
    drift = Drift(Question("a model", "rows"), "table", tracking, DriftSection(), 9, 9, findings, {}, {},
                  training_table=True)  # fmt: skip
    assert not drift.alarm
    assert "50.0% of the rows, which reaches the level of a retrain (any drift). But they are the" in verdict(drift)


def test_words_of_several_batches_are_in_the_order_of_their_rows() -> None:
    words: dict[str, dict[str, int]] = {}
    for batch in ({"Yes": 3, "maybe": 1}, {"maybe": 50}):
        _add_words(words, {"label": batch})
    assert list(_by_rows(words["label"])) == ["maybe", "Yes"]
