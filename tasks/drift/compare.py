"""Compares new rows with the reference that travels with a model."""

import re
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from prefect import task

from tasks.registry.open_model import drift_settings, open_model
from tasks.scoring.one_file import LARGEST
from tasks.scoring.stream import batches_of
from tasks.steps.log import log
from tasks.tracking.uris import store
from varjepa.config import DataSection
from varjepa.config.operations import DriftSection, TrackingSection
from varjepa.data.read.sources import open_path, readable
from varjepa.errors import DataError, ModelError
from varjepa.evaluation.drift.samples import Sample, together
from varjepa.evaluation.drift.tests import Finding, drift_score, find_drift
from varjepa.inference.drift_counts import count_columns, quality, subjects_of, unseen_words
from varjepa.inference.drift_reference import Counts, Profile
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import row_statistics

SEED = 0
"""Of the draw of rows that go through the model."""

MOST_WORDS = 1000
"""New categories of a column that are remembered."""


@dataclass(frozen=True)
class Question:
    """What is to be compared.

    Attributes:
        model: as for `varjepa score`.
        new: file, folder or glob.
        level: instead of the model's `drift.level`.
        false_alarms: instead of the model's `drift.false_alarms`.
        tracking_uri: tracking store; None means the usual one.
        device: auto, cpu, or a GPU by name.
    """

    model: str
    new: str
    level: float | None = None
    false_alarms: float | None = None
    tracking_uri: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes:
        question: what was asked.
        name: of the model.
        tracking: where runs go.
        section: settings that were used.
        rows: new rows.
        model_rows: how many of them went through the model.
        findings: all tests.
        words: new categories per column, and their rows.
        quality: how good the probe was on the reference, and is now, per measure; empty without labels.
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

    @property
    def drifted(self) -> list[Finding]:
        """The tests that found drift, the largest effect first."""
        return [finding for finding in self.findings if finding.verdict == "drift"]

    @property
    def score(self) -> float:
        """Largest effect among them, a share of rows."""
        return drift_score(self.findings)

    @property
    def alarm(self) -> bool:
        """Whether a retrain should start."""
        return bool(self.drifted) and self.score >= self.section.level


@task(name="compare", task_run_name="compare")
def compare(question: Question) -> Drift:
    """Counts the columns of all new rows, asks the model about some of them, and tests.

    Raises:
        DataError: NEW cannot be read, has no rows, lacks a column or holds text for numbers.
        ModelError: no such model, or one without a reference.
    """
    model = open_model(question.model, question.tracking_uri, question.device)
    profile = _profile(model, question.model)
    wanted = {"level": question.level, "false_alarms": question.false_alarms}
    section = drift_settings(question.model, question.tracking_uri) or model.config.drift
    section = section.model_copy(update={key: value for key, value in wanted.items() if value is not None})
    counted = _count(model, question.new, profile.counts, section.rows)
    statistics = row_statistics(model, counted.chosen, profile.directions)
    label = None if model.preprocessor.label is None else model.preprocessor.label.name
    subjects = subjects_of(profile.counts, counted.columns, (label, counted.label), statistics)
    now, before = quality(statistics), profile.counts.quality
    return Drift(
        question, model_name(question.model, model), _tracking(question, model), section, counted.rows,
        counted.chosen.height, find_drift(subjects, section), counted.words,
        {name: (before[name], value) for name, value in now.items() if name in before},
    )  # fmt: skip


def _profile(model: TrainedModel, name: str) -> Profile:
    if model.profile is None:
        raise ModelError(
            f"The model {name} holds no reference to compare with.",
            expected="Expected a model that varjepa retrain made with this version, with data.split.seen: train.",
            fix="Retrain it.",
        )
    return model.profile


def model_name(uri: str, model: TrainedModel) -> str:
    """Name in the registry, or the one that the model's configuration has for it.

    Examples:
        >>> model_name("models:/adult@champion", None)
        'adult'
    """
    named = re.fullmatch(r"models:/([^/@]+)[/@].+", uri)
    return named.group(1) if named else model.config.registry.name


def _tracking(question: Question, model: TrainedModel) -> TrackingSection:
    return TrackingSection(uri=store(question.tracking_uri), experiment=model.config.tracking.experiment)


@dataclass
class _Counted:
    """New rows so far."""

    chosen: pl.DataFrame
    rows: int = 0
    columns: dict[str, Sample] = field(default_factory=dict)
    label: Sample | None = None
    words: dict[str, dict[str, int]] = field(default_factory=dict)


def _count(model: TrainedModel, source: str, like: Counts, most: int) -> _Counted:
    """Goes over all rows once, batch after batch; a random sample of them is kept."""
    total = _rows_of(source, model.config.data)
    if not total:
        raise DataError(f"{source} has no rows.", expected="Expected rows to compare.")
    picks = np.sort(np.random.default_rng(SEED).permutation(total)[:most])
    counted, kept = _Counted(pl.DataFrame()), []
    for frame in batches_of(source, model.config.data, LARGEST):
        chosen = picks[np.searchsorted(picks, counted.rows) : np.searchsorted(picks, counted.rows + frame.height)]
        kept.append(frame[chosen - counted.rows])
        columns, label = count_columns(model.preprocessor, frame, like)
        before = counted.columns
        counted.columns = {
            name: together(before[name], cells) if name in before else cells for name, cells in columns.items()
        }
        counted.label = together(counted.label, label) if counted.label is not None and label is not None else label
        _remember(counted.words, unseen_words(model.preprocessor, frame))
        counted.rows += frame.height
        if len(kept) % 100 == 0:
            log.info("%s of %s rows counted", f"{counted.rows:,}", f"{total:,}")
    counted.chosen = pl.concat(kept)
    return counted


def _rows_of(source: str, data: DataSection) -> int:
    with readable(source):
        return int(open_path(source, data).frame.select(pl.len()).collect().item())


def _remember(words: dict[str, dict[str, int]], more: dict[str, dict[str, int]]) -> None:
    for column, counts in more.items():
        rows_of_word = words.setdefault(column, {})
        for word, rows in counts.items():
            if word in rows_of_word or len(rows_of_word) < MOST_WORDS:
                rows_of_word[word] = rows_of_word.get(word, 0) + rows
