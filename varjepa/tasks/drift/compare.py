"""Compares new rows with the drift reference of a model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from varjepa.config import DataSection
from varjepa.config.operations import DriftSection, NotifySection, TrackingSection
from varjepa.data.read.clusters import known_clusters
from varjepa.data.read.row_hash import Hashes
from varjepa.data.read.sources import Source
from varjepa.errors import DataError, ModelError
from varjepa.evaluation.accuracy_estimate import EstimatedAccuracy
from varjepa.evaluation.drift.dependence import rows_of_a_row
from varjepa.evaluation.drift.samples import Sample, together
from varjepa.evaluation.drift.tests import Finding, drift_score, find_drift
from varjepa.inference.drift_counts import count_columns, estimated_accuracy, quality, subjects_of, unseen_words
from varjepa.inference.drift_reference import Counts, Profile
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import row_statistics
from varjepa.tasks.drift.training_table import is_training_table, without_parts
from varjepa.tasks.lineage.record import reads, recording
from varjepa.tasks.registry.lineage import reads_model
from varjepa.tasks.registry.open_model import open_model
from varjepa.tasks.registry.watch import watch_of
from varjepa.tasks.scoring.one_file import LARGEST
from varjepa.tasks.scoring.stream import batches_of
from varjepa.tasks.signing.keys import trusted
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.named import named_table
from varjepa.tasks.sources.open_table import opened_table
from varjepa.tasks.sources.open_table import reads as reading
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.tracking.uris import store

SEED = 0
"""Seed of the sample of rows that go through the model."""

MOST_WORDS = 1000
"""Largest number of new categories that are counted per column."""

_UNLEARNED = "it is compared by the rows that were not trained on"
_LEARNED = "rows that were trained on look unlike new ones, which is no drift"


@dataclass(frozen=True)
class Question:
    """Input of a comparison.

    Attributes:
        model: as for `varjepa score`.
        new: file, folder, glob or URI.
        level: overrides the model's `drift.level`.
        false_alarms: overrides the model's `drift.false_alarms`.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        reading: query, parameters and version (at) of the new rows.
        trusted_keys: file of the keys, one of which must have signed the model; see `signing.trusted_keys`.
    """

    model: str
    new: str
    level: float | None = None
    false_alarms: float | None = None
    tracking_uri: str | None = None
    device: str = "auto"
    reading: Mapping[str, Any] = field(default_factory=dict)
    trusted_keys: str | None = None


@dataclass(frozen=True)
class Drift:
    """Result of a comparison.

    Attributes:
        question: the input.
        name: of the model.
        tracking: store and experiment for runs.
        section: settings that were used.
        rows: number of new rows.
        model_rows: number of them that went through the model.
        findings: all tests.
        words: new categories per column, with their numbers of rows.
        quality: of the head on the reference and on the new rows, per measure; empty without labels.
        estimate: accuracy of the new rows as if no label was known; None without classes.
        unseen_classes: labels that are no class of the model, with their numbers of rows, the most frequent first.
        classes: of the model.
        notify: rules for messages about the model.
        training_table: whether the new rows are the very table that the model was trained on.
    """

    question: Question
    name: str
    tracking: TrackingSection
    section: DriftSection
    rows: int
    model_rows: int
    findings: list[Finding]
    words: dict[str, dict[str, int]]
    quality: dict[str, tuple[float, float]]
    estimate: EstimatedAccuracy | None = None
    unseen_classes: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    notify: tuple[NotifySection, ...] = ()
    training_table: bool = False

    @property
    def drifted(self) -> list[Finding]:
        """The tests that found drift, the largest effect first."""
        return [finding for finding in self.findings if finding.verdict == "drift"]

    @property
    def score(self) -> float:
        """Largest effect of the tests that found drift, a share of rows."""
        return drift_score(self.findings)

    @property
    def reached(self) -> bool:
        """Whether the drift reaches the level of a retrain."""
        return bool(self.drifted) and self.score >= self.section.level

    @property
    def alarm(self) -> bool:
        """Whether a retrain should start; on the same table again, it would change nothing."""
        return self.reached and not self.training_table


@task(name="compare", task_run_name="compare")
def compare(question: Question) -> Drift:
    """Counts the columns of all new rows, sends a sample of rows through the model, and tests for drift.

    Raises:
        DataError: NEW cannot be read, has no rows, lacks a column or holds text for numbers.
        ModelError: no such model, or one without a reference.
    """
    trust = trusted(question.trusted_keys)
    model = open_model(question.model, question.tracking_uri, question.device, trust=trust)
    profile = _profile(model, question.model)
    # Settings by rising priority: those stored with the model, those of its last retrain, those of this call.
    overrides = {"level": question.level, "false_alarms": question.false_alarms}
    watch = watch_of(question.model, question.tracking_uri, model.config)
    section = watch.drift.model_copy(update={key: value for key, value in overrides.items() if value is not None})
    data = section_at(model.config.data, question.new, **question.reading)
    known = is_training_table(question.model, question.tracking_uri, data)
    with opened_table(data, model.preprocessor.text) as source:
        if known:
            source = without_parts(source, data, ["train"], _UNLEARNED, _LEARNED)  # noqa: PLW2901 (fewer rows)
        counted = _count(model, source, data, like=profile.counts, most=section.rows)
        if recording():
            types = {name: str(kind) for name, kind in source.frame.collect_schema().items()}
            reads(named_table(data, types, counted.rows))
    reads_model(question.model, question.tracking_uri)
    statistics = row_statistics(model, counted.chosen, profile.directions)
    label = None if model.preprocessor.label is None else model.preprocessor.label.name
    whole, sampled = profile.counts.cluster_rows, known_clusters(counted.chosen, model.config.data.split)
    cluster_rows = _cluster_rows(counted.clusters, whole), _cluster_rows([sampled], whole)
    subjects = subjects_of(profile.counts, counted.columns, (label, counted.label), statistics, cluster_rows)
    now, before = quality(statistics), profile.counts.quality
    tracking = TrackingSection(uri=store(question.tracking_uri), experiment=watch.experiment)
    return Drift(
        question, model_name(question.model, model), tracking, section, counted.rows,
        counted.chosen.height, find_drift(subjects, section), counted.words,
        {name: (before[name], value) for name, value in now.items() if name in before},
        estimated_accuracy(profile.counts, statistics, cluster_rows[1]), _by_rows(counted.words.get(label or "", {})),
        () if model.preprocessor.label is None else model.preprocessor.label.classes, watch.notify, known,
    )  # fmt: skip


def _cluster_rows(clusters: Sequence[Hashes | None], reference: float | None) -> float | None:
    """Rows in the cluster of a row, on average over rows; as in the reference where some rows do not say theirs."""
    known = [part for part in clusters if part is not None]
    if len(known) < len(clusters):
        return reference
    return rows_of_a_row(np.unique(np.concatenate(known), return_counts=True)[1])


def _profile(model: TrainedModel, name: str) -> Profile:
    if model.profile is None:
        raise ModelError(
            f"The model {name} holds no reference to compare with.",
            expected="Expected a model that varjepa retrain made with this version, with data.split.seen: train.",
            fix="Retrain it.",
        )
    return model.profile


def model_name(uri: str, model: TrainedModel) -> str:
    """Name in the registry, or the name in the model's configuration.

    Examples:
        >>> model_name("models:/adult@champion", None)
        'adult'
    """
    named = re.fullmatch(r"models:/([^/@]+)[/@].+", uri)
    return named.group(1) if named else model.config.registry.name


@dataclass
class _Counted:
    """Counts of the new rows so far."""

    chosen: pl.DataFrame
    rows: int = 0
    clusters: list[Hashes | None] = field(default_factory=list)
    columns: dict[str, Sample] = field(default_factory=dict)
    label: Sample | None = None
    words: dict[str, dict[str, int]] = field(default_factory=dict)


def _count(model: TrainedModel, source: Source, data: DataSection, *, like: Counts, most: int) -> _Counted:
    """Counts all rows in one pass, batch by batch, and keeps a random sample of them."""
    with reading(data):
        total = int(source.frame.select(pl.len()).collect().item())
    if not total:
        raise DataError(f"{source.description} has no rows.", expected="Expected rows to compare.")
    # Row numbers of the sample, drawn before the pass and sorted, so that each batch finds its own by bisection.
    picks = np.sort(np.random.default_rng(SEED).permutation(total)[:most])
    counted, kept = _Counted(pl.DataFrame()), []
    for frame in batches_of(source, data, LARGEST):
        # `counted.rows` is the number of the batch's first row.
        chosen = picks[np.searchsorted(picks, counted.rows) : np.searchsorted(picks, counted.rows + frame.height)]
        kept.append(frame[chosen - counted.rows])
        columns, label = count_columns(model.preprocessor, frame, like)
        before = counted.columns
        # Counts in equal bins add up, so no batch has to stay in memory.
        counted.columns = {
            name: together(before[name], cells) if name in before else cells for name, cells in columns.items()
        }
        counted.label = together(counted.label, label) if counted.label is not None and label is not None else label
        _add_words(counted.words, unseen_words(model.preprocessor, frame))
        counted.clusters.append(known_clusters(frame, model.config.data.split))
        counted.rows += frame.height
        if len(kept) % 100 == 0:
            log.info("%s of %s rows counted", f"{counted.rows:,}", f"{total:,}")
    counted.chosen = pl.concat(kept)
    return counted


def _by_rows(words: Mapping[str, int]) -> dict[str, int]:
    """The most frequent first: batches are in the order of the rows."""
    return dict(sorted(words.items(), key=lambda item: -item[1]))


def _add_words(words: dict[str, dict[str, int]], more: dict[str, dict[str, int]]) -> None:
    for column, counts in more.items():
        rows_of_word = words.setdefault(column, {})
        for word, rows in counts.items():
            # A column of free text has a new word in every row: memory stays bounded.
            if word in rows_of_word or len(rows_of_word) < MOST_WORDS:
                rows_of_word[word] = rows_of_word.get(word, 0) + rows
