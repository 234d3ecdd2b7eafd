"""Counts rows as a model sees them: reference rows for its profile, and new rows in the same bins.

Columns are counted in rows that preprocessing has not seen: its choices, such as the known categories, fit training
rows too well. Statistics of the model are counted in rows that training has not seen.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from varjepa.config.data import SplitSection
from varjepa.data.cells import nameless
from varjepa.data.encode.features import LABEL, CategoricalFeature, Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.clusters import row_clusters
from varjepa.data.spelling.learned import not_as_learned
from varjepa.data.tensors.sizes import rows_within
from varjepa.data.tensors.table import MISSING, OTHER
from varjepa.evaluation.accuracy_estimate import (
    FEWEST,
    AccuracyReference,
    DamagedRows,
    EstimatedAccuracy,
    estimate_accuracy,
    fit_accuracy_reference,
)
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.drift.dependence import Clustering, alike, alike_words
from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.evaluation.drift.tests import Subject
from varjepa.evaluation.uncertainty.calibration import expected_calibration_error
from varjepa.inference.damaged_rows import damaged_rows
from varjepa.inference.drift_reference import Counts, Directions, Profile
from varjepa.inference.kept_embeddings import Embedder
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import RowValues, row_statistics, true_classes

DAMAGED_BATCHES, DAMAGED_ROWS = 9, 250
"""Batches of rows with damaged cells, three of each kind, and rows of each: they go through the model once more."""

DAMAGED_CELLS, FEWEST_DAMAGED = 2**17, 80
"""Cells of a batch, so that of wide tables it has fewer rows; but at least so many."""


def make_profile(
    model: TrainedModel,
    unseen: pl.DataFrame,
    untouched: pl.DataFrame,
    directions: Directions,
    split: SplitSection,
    *,
    cluster_rows: float | None = None,
    embedder: Embedder | None = None,
) -> Profile:
    """Counts reference rows.

    Args:
        model: finished.
        unseen: rows outside of the training part, whose columns are counted.
        untouched: rows that neither training nor any choice has used; they go through the model.
        directions: from training rows.
        split: whose clusters the rows come in.
        cluster_rows: see `Counts`.
        embedder: of the untouched rows, which then have their numbers; None embeds all of them.
    """
    columns, label = count_columns(model.preprocessor, unseen, clusters=Clustering.of(row_clusters(unseen, split)))
    row_values = row_statistics(model, untouched, directions, embedder)
    clusters = Clustering.of(row_clusters(untouched, split))
    statistics = {name: values.counted(clusters=clusters) for name, values in row_values.items()}
    counts = Counts(
        columns=columns, label=label, statistics=statistics, quality=quality(row_values), cluster_rows=cluster_rows,
        accuracy=_accuracy_reference(model, untouched, directions, row_values, split),
    )  # fmt: skip
    return Profile(counts, directions)


def _accuracy_reference(
    model: TrainedModel, frame: pl.DataFrame, directions: Directions, statistics: Mapping[str, RowValues],
    split: SplitSection,
) -> AccuracyReference | None:  # fmt: skip
    """What estimates the accuracy of rows without labels; None without labelled rows of classes."""
    if "correct" not in statistics:
        return None
    known = np.flatnonzero(np.isfinite(statistics["correct"].values))
    if len(known) < FEWEST:
        return None
    moving = {name: values[known] for name, values in shift_statistics(statistics).items()}
    classes = true_classes(model, frame[known])
    return fit_accuracy_reference(
        statistics["probability"].values[known], statistics["correct"].values[known] == 1, moving,
        classes=classes, damaged=_damaged(model, frame[known], directions),
        clusters=Clustering.of(row_clusters(frame[known], split)),
    )  # fmt: skip


def _damaged(model: TrainedModel, frame: pl.DataFrame, directions: Directions) -> list[DamagedRows]:
    """Batches of labelled rows with damaged cells, and what the model says of them."""
    n_features = model.preprocessor.sizes.n_features
    most = rows_within(DAMAGED_CELLS, n_features, fewest=FEWEST_DAMAGED, most=DAMAGED_ROWS)
    size = min(most, frame.height // 2)
    chosen = [
        np.random.default_rng([seed, 53]).choice(frame.height, size=size, replace=False)
        for seed in range(DAMAGED_BATCHES)
    ]
    damaged = [damaged_rows(frame[rows], model.preprocessor.kinds, seed) for seed, rows in enumerate(chosen)]
    # Through the model together: of so few rows, a call costs more than its rows. Noise makes whole numbers floats.
    found = row_statistics(model, pl.concat(damaged, how="vertical_relaxed"), directions)
    moving, batches = shift_statistics(found), []
    for number, rows in enumerate(chosen):
        part = slice(number * size, (number + 1) * size)
        right, confidence = found["correct"].values[part] == 1, found["probability"].values[part]
        batches.append(DamagedRows(rows, confidence, right, {name: values[part] for name, values in moving.items()}))
    return batches


def shift_statistics(statistics: Mapping[str, RowValues]) -> dict[str, Floats]:
    """The statistics that are numbers and need no label, [N] each."""
    labelled = ("correct", "calibration", "residual")
    return {name: each.values for name, each in statistics.items() if not each.names and name not in labelled}


def estimated_accuracy(
    reference: Counts, statistics: Mapping[str, RowValues], cluster_rows: float | None = None
) -> EstimatedAccuracy | None:
    """Accuracy of rows as if no label was known; None without classes or without a reference for it.

    Args:
        reference: of the model.
        statistics: of the rows.
        cluster_rows: rows in the cluster of a row, on average over rows; None: as in the reference.
    """
    if reference.accuracy is None or "probability" not in statistics:
        return None
    confidence = statistics["probability"].values
    if not len(confidence):
        return None
    return estimate_accuracy(confidence, shift_statistics(statistics), reference.accuracy, cluster_rows=cluster_rows)


def count_columns(
    preprocessor: Preprocessor,
    frame: pl.DataFrame,
    like: Counts | None = None,
    clusters: Clustering | None = None,
) -> tuple[dict[str, Sample], Sample | None]:
    """Counts the cells of every feature but the parts of clocks, and of the label where the frame has one.

    The rows of a day have one weekday: of a column that tells when a row was made, a batch never has all there is.

    Args:
        preprocessor: of the model.
        frame: raw rows.
        like: earlier counts whose knots are used again; None to choose knots.
        clusters: of the rows, to see how alike those of a cluster are.

    Raises:
        DataError: a column is missing, or holds text where numbers were learned.
    """
    frame, label = preprocessor.derive(frame.lazy()).collect(), preprocessor.label
    schema = dict(frame.schema)
    labelled = label is not None and label.name in schema
    numbers = [feature.number(schema) for feature in preprocessor.numeric]
    codes = [feature.encode(schema) for feature in preprocessor.categorical]
    cells = _collected(frame, [*numbers, *codes, *([label.encode(schema)] if label is not None and labelled else [])])
    samples: dict[str, Sample] = {}
    for feature in preprocessor.numeric:
        reference = None if like is None else like.columns[feature.name]
        sample = _numbers(nameless(cells[feature.name]), reference, days=feature.kind == "date")
        if clusters is not None:
            values = nameless(cells[feature.name]).fill_null(float("nan")).to_numpy()
            sample = sample.clustered(alike(values, clusters), clusters.size)
        samples[feature.name] = sample
    timed = preprocessor.timed
    for category in preprocessor.categorical:
        if category.name in timed:
            continue
        # Two codes come before those of the vocabulary: missing and other.
        code = cells[category.name].to_numpy()
        counts = np.bincount(code, minlength=len(category.vocabulary) + 2)
        words = Categories(
            names=category.vocabulary, counts=tuple(counts[OTHER + 1 :].tolist()), other=int(counts[OTHER]),
            missing=int(counts[MISSING]),
        )  # fmt: skip
        if clusters is not None:
            words = words.clustered(alike_words(code, clusters), clusters.size)
        samples[category.name] = words
    return samples, _label_sample(cells, label, like, clusters) if label is not None and labelled else None


def _label_sample(cells: pl.DataFrame, label: Label, like: Counts | None, clusters: Clustering | None) -> Sample:
    values = RowValues(cells[LABEL].fill_null(float("nan")).to_numpy(), label.classes)
    return values.counted(None if like is None else like.label, clusters)


def _numbers(column: pl.Series, like: Sample | None, *, days: bool) -> Numbers:
    values = column.drop_nulls().to_numpy()
    knots = like.knots if isinstance(like, Numbers) else None
    return Numbers.of(values, knots=knots, missing=column.null_count(), days=days)


def _collected(frame: pl.DataFrame, columns: list[pl.Expr]) -> pl.DataFrame:
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise not_as_learned(error, "counted") from error


def subjects_of(
    reference: Counts,
    columns: Mapping[str, Sample],
    label: tuple[str | None, Sample | None],
    statistics: Mapping[str, RowValues],
    cluster_rows: tuple[float | None, float | None] = (1.0, 1.0),
) -> list[Subject]:
    """Pairs of samples to compare: everything that new rows and a reference have in common.

    Args:
        reference: counts of the reference rows.
        columns: new cells, counted in the bins of the reference.
        label: its name, and the new sample where labels are known.
        statistics: of new rows.
        cluster_rows: rows in the cluster of a row, on average over all new rows, and over those of `statistics`; None
            where the new rows do not say, which then come in clusters like those of the reference.
    """

    def dependent(new: Sample, before: Sample, rows: float | None) -> Sample:
        """How alike the new rows of a cluster are is known from the reference."""
        return new.clustered(before.alike, before.cluster_rows if rows is None else rows)

    of_all, of_sample = cluster_rows
    columns = {name: dependent(new, reference.columns[name], of_all) for name, new in columns.items()}
    subjects = [Subject(name, "column", reference.columns[name], new) for name, new in columns.items()]
    name, sample = label
    # Labels often arrive later than rows: without a single one there is nothing to compare.
    if name is not None and reference.label is not None and sample is not None and sample.present:
        subjects.append(Subject(name, "label", reference.label, dependent(sample, reference.label, of_all)))
    for statistic, values in statistics.items():
        before = reference.statistics.get(statistic)
        counted = values.counted(before)
        if before is not None and counted.present:
            subjects.append(Subject(statistic, "model", before, dependent(counted, before, of_sample)))
    return subjects


def unseen_words(preprocessor: Preprocessor, frame: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Per categorical column and label, the words that are not a known category or class, and their number of rows."""
    derived = preprocessor.sources
    features = (
        feature
        for feature in preprocessor.categorical
        if isinstance(feature, CategoricalFeature) and feature.name not in derived
    )
    words = {
        feature.name: _unknown(frame.lazy(), feature.words(frame.schema[feature.name]), feature.vocabulary)
        for feature in features
    }
    label = preprocessor.label
    if label is not None and label.classes and label.name in frame.columns:
        words[label.name] = unseen_classes(frame.lazy(), label)
    return words


def unseen_classes(frame: pl.LazyFrame, label: Label) -> dict[str, int]:
    """The labels that are no class of training, and their number of rows, the most frequent first."""
    return _unknown(frame, label.words(frame.collect_schema()[label.name]), label.classes)


def _unknown(frame: pl.LazyFrame, cells: pl.Expr, known: Sequence[str]) -> dict[str, int]:
    words = frame.select(cells.alias("word")).drop_nulls()
    counts = words.filter(~pl.col("word").is_in(list(known))).group_by("word").len()
    return dict(counts.sort("len", "word", descending=[True, False]).collect().iter_rows())


def quality(statistics: Mapping[str, RowValues]) -> dict[str, float]:
    """Quality of answers on labelled rows: accuracy and ECE, or RMSE and coverage; empty where no label is known."""
    finite = {name: row_values.values[np.isfinite(row_values.values)] for name, row_values in statistics.items()}
    if "residual" in finite and len(finite["residual"]):
        covered = {"interval_coverage": float(finite["covered"].mean())} if "covered" in finite else {}
        return {"rmse": float(np.square(finite["residual"]).mean() ** 0.5)} | covered
    if "correct" not in finite or not len(finite["correct"]):
        return {}
    correct = finite["correct"] == 1
    confidence = correct - finite["calibration"]  # the statistic is correctness minus confidence
    return {"accuracy": float(correct.mean()), "ece": expected_calibration_error(confidence, correct)}
