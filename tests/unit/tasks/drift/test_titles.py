"""A column that is called like a statistic of the model is neither described nor recorded as that statistic."""

import numpy as np

from varjepa.config.operations import DriftSection, TrackingSection
from varjepa.evaluation.drift.samples import Numbers
from varjepa.evaluation.drift.tests import Subject, find_drift
from varjepa.tasks.drift.compare import Drift, Question
from varjepa.tasks.drift.record import drift_metrics
from varjepa.tasks.drift.report import lines_of


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
