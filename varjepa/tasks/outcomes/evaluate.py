"""Judges the predictions and promises of a model by labels that arrived later."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from varjepa.config.operations import TrackingSection
from varjepa.data.encode.features import LABEL, Label
from varjepa.data.read.clusters import known_clusters
from varjepa.evaluation.accuracy_estimate import EstimatedAccuracy, estimate_accuracy
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.drift.dependence import Clustering
from varjepa.evaluation.gate.groups import truth_of
from varjepa.evaluation.outcomes import Outcomes, Promise, outcome_metrics, promises_of
from varjepa.inference.drift_counts import estimated_accuracy
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import row_statistics
from varjepa.tasks.destinations.local_file import BETWEEN
from varjepa.tasks.drift.compare import SEED, model_name
from varjepa.tasks.drift.training_table import is_training_table
from varjepa.tasks.lineage.record import reads
from varjepa.tasks.outcomes.labels import Labelled, label_of, scored_before, scored_now
from varjepa.tasks.registry.lineage import reads_model
from varjepa.tasks.registry.open_model import open_model
from varjepa.tasks.registry.watch import watch_of
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.named import named_table
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.tracking.uris import store


@dataclass(frozen=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        question: the input.
        name: of the model.
        tracking: store and experiment for runs.
        rows: labelled rows.
        metrics: accuracy and ece, or rmse and r2; accepted, coverage.
        promises: what the model promised of these rows, and what came of it.
        estimate: accuracy of the rows as if no label was known; None without classes.
        training_table: whether the rows come from the very table that the model was trained on.
    """

    question: Labelled
    name: str
    tracking: TrackingSection
    rows: int
    metrics: dict[str, float]
    promises: list[Promise]
    estimate: EstimatedAccuracy | None
    training_table: bool


@task(name="evaluate", task_run_name="evaluate")
def evaluate_model(question: Labelled) -> Evaluation:
    """Scores labelled rows, or joins their labels to earlier scores, and judges every promise.

    Raises:
        DataError: see `varjepa.tasks.outcomes.labels`.
        ModelError: no such model, or one that predicts no label.
    """
    model = open_model(question.model, question.tracking_uri, question.device)
    label = label_of(model)
    read = scored_now if question.scored is None else scored_before
    data = section_at(model.config.data, question.labelled, **question.reading)
    known = is_training_table(question.model, question.tracking_uri, data)
    answers, rows = read(model, question, label, known=known)
    reads(named_table(data, {name: str(kind) for name, kind in rows.schema.items()}, rows.height))
    reads_model(question.model, question.tracking_uri)
    outcomes, estimate = outcomes_of(model, label, answers, rows), _estimate(model, answers, rows)
    promises = promises_of(
        outcomes, certified=_certified(model), level=model.config.uncertainty.level, estimate=estimate
    )
    watch = watch_of(question.model, question.tracking_uri, model.config)
    tracking = TrackingSection(uri=store(question.tracking_uri), experiment=watch.experiment)
    name = model_name(question.model, model)
    metrics = outcome_metrics(outcomes)
    return Evaluation(question, name, tracking, rows.height, metrics, promises, estimate, known)


def outcomes_of(model: TrainedModel, label: Label, answers: pl.DataFrame, rows: pl.DataFrame) -> Outcomes:
    """What came of answers.

    Args:
        model: that gave them.
        label: what it predicts.
        answers: columns of `varjepa score`, [N].
        rows: with the label, in the same order; the columns of clusters where they are known.
    """
    accepted = answers["accept"].to_numpy() if "accept" in answers.columns else None
    clusters = cluster_numbers(known_clusters(rows, model.config.data.split))
    if label.classes:
        truth = truth_of(rows, label)
        correct = (answers["prediction"].cast(pl.String) == truth).to_numpy()
        confidence = answers["probability"].to_numpy() if "probability" in answers.columns else None
        return Outcomes(correct, confidence, accepted=accepted, covered=_in_set(answers, truth), clusters=clusters)
    value = rows.lazy().select(label.encode(rows.schema)).collect()[LABEL].to_numpy()
    error = answers["prediction"].to_numpy() - value
    certificate = None if model.intervals is None else model.intervals.certificate
    tolerance = None if certificate is None else certificate.tolerance
    near = None if tolerance is None else np.abs(error) <= tolerance
    return Outcomes(
        near, error=error, label=value, accepted=accepted, covered=_in_interval(answers, value), clusters=clusters
    )


def _in_set(answers: pl.DataFrame, truth: pl.Series) -> Bools | None:
    """Whether sets hold the class [N]; None where there are none. A text file has them as text."""
    if "set" not in answers.columns:
        return None
    sets = answers["set"]
    if not isinstance(sets.dtype, pl.List):
        # Marks around both, as the name of a class may be a part of another one's, and may hold the mark.
        sets = sets.cast(pl.String).fill_null("")
        return np.array([f"{BETWEEN}{word}{BETWEEN}" in f"{BETWEEN}{classes}{BETWEEN}"
                         for word, classes in zip(truth, sets, strict=True)])  # fmt: skip
    return np.array([word in classes for word, classes in zip(truth, sets, strict=True)])


def _in_interval(answers: pl.DataFrame, value: Floats) -> Bools | None:
    if not {"low", "high"} <= set(answers.columns):
        return None
    return (answers["low"].to_numpy() <= value) & (value <= answers["high"].to_numpy())


def _certified(model: TrainedModel) -> float | None:
    """Share of accepted rows that the certificate promises to be right; None without one."""
    fitted: Any = model.fitted if model.fitted is not None else model.intervals
    return None if fitted is None or fitted.certificate is None else float(fitted.certificate.accuracy)


def _estimate(model: TrainedModel, answers: pl.DataFrame, rows: pl.DataFrame) -> EstimatedAccuracy | None:
    """Accuracy as it could have been estimated without labels; from confidence alone where rows have no features."""
    if model.profile is None or model.profile.counts.accuracy is None or "probability" not in answers.columns:
        return None
    if set(model.preprocessor.columns) <= set(rows.columns):
        most = model.config.drift.rows
        sample = rows[np.sort(np.random.default_rng(SEED).permutation(rows.height)[:most])]
        label = model.preprocessor.label
        unlabelled = sample.drop([] if label is None else [label.name])
        statistics = row_statistics(model, unlabelled, model.profile.directions)
        return estimated_accuracy(model.profile.counts, statistics, _cluster_rows(model, sample))
    confidence = answers["probability"].to_numpy()
    reference, cluster_rows = model.profile.counts.accuracy, _cluster_rows(model, rows)
    return estimate_accuracy(confidence, {"probability": confidence}, reference, cluster_rows=cluster_rows)


def _cluster_rows(model: TrainedModel, rows: pl.DataFrame) -> float | None:
    """Rows in the cluster of a row, on average over rows; None where rows do not say their clusters."""
    clusters = Clustering.of(known_clusters(rows, model.config.data.split))
    return None if clusters is None else clusters.size
