"""Counts rows as a model sees them: reference rows for its profile, and new rows by the same cells.

Columns are counted in rows that preprocessing has not seen, because what it chose from training rows (which
categories are known, say) flatters those; what the model says of rows, in rows that training has not seen.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl

from varjepa.data.cells import as_text
from varjepa.data.encode.features import LABEL, CategoricalFeature, Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.table import MISSING, OTHER
from varjepa.errors import DataError
from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.evaluation.drift.tests import Subject
from varjepa.evaluation.uncertainty.calibration import expected_calibration_error
from varjepa.inference.drift_reference import Counts, Directions, Profile
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_statistics import RowValues, row_statistics


def make_profile(model: TrainedModel, unseen: pl.DataFrame, untouched: pl.DataFrame, directions: Directions) -> Profile:
    """Counts reference rows.

    Args:
        model: finished.
        unseen: rows outside of the training part, whose columns are counted.
        untouched: rows that nothing was trained or chosen on, which go through the model.
        directions: from training rows.
    """
    columns, label = count_columns(model.preprocessor, unseen)
    found = row_statistics(model, untouched, directions)
    statistics = {name: values.counted() for name, values in found.items()}
    return Profile(Counts(columns=columns, label=label, statistics=statistics, quality=quality(found)), directions)


def count_columns(
    preprocessor: Preprocessor, frame: pl.DataFrame, like: Counts | None = None
) -> tuple[dict[str, Sample], Sample | None]:
    """Counts the cells of every feature, and of the label where the frame has one.

    Args:
        preprocessor: knows the features.
        frame: raw rows.
        like: counted before, by whose knots to count; None to choose knots.

    Raises:
        DataError: a column is missing, or holds text where numbers were learned.
    """
    schema, label = dict(frame.schema), preprocessor.label
    preprocessor.encode(frame.lazy())  # says which column is missing
    labelled = label is not None and label.name in schema
    numbers = [feature.number(schema) for feature in preprocessor.numeric]
    codes = [feature.encode(schema) for feature in preprocessor.categorical]
    cells = _collected(frame, [*numbers, *codes, *([label.encode(schema)] if label is not None and labelled else [])])
    found: dict[str, Sample] = {}
    for feature in preprocessor.numeric:
        known = None if like is None else like.columns[feature.name]
        found[feature.name] = _numbers(cells[feature.name], known, days=feature.kind == "date")
    for category in preprocessor.categorical:
        counts = np.bincount(cells[category.name].to_numpy(), minlength=len(category.vocabulary) + 2)
        found[category.name] = Categories(
            names=category.vocabulary, counts=tuple(counts[OTHER + 1 :].tolist()), other=int(counts[OTHER]),
            missing=int(counts[MISSING]),
        )  # fmt: skip
    return found, _label_sample(cells, label, like) if label is not None and labelled else None


def _label_sample(cells: pl.DataFrame, label: Label, like: Counts | None) -> Sample:
    values = RowValues(cells[LABEL].fill_null(float("nan")).to_numpy(), label.classes)
    return values.counted(None if like is None else like.label)


def _numbers(column: pl.Series, like: Sample | None, *, days: bool) -> Numbers:
    values = column.drop_nulls().to_numpy()
    knots = like.knots if isinstance(like, Numbers) else None
    return Numbers.of(values, knots=knots, missing=column.null_count(), days=days)


def _collected(frame: pl.DataFrame, columns: list[pl.Expr]) -> pl.DataFrame:
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"The rows cannot be counted: {reason}.", expected="Expected the types of training.") from error


def subjects_of(
    reference: Counts,
    columns: Mapping[str, Sample],
    label: tuple[str | None, Sample | None],
    statistics: Mapping[str, RowValues],
) -> list[Subject]:
    """Everything that new rows and a reference have in common.

    Args:
        reference: how it was.
        columns: new cells, counted by the reference.
        label: its name, and new ones where they are known.
        statistics: of new rows.
    """
    found = [Subject(name, "column", reference.columns[name], new) for name, new in columns.items()]
    name, sample = label
    if name is not None and reference.label is not None and sample is not None and sample.present:
        found.append(Subject(name, "label", reference.label, sample))
    for statistic, values in statistics.items():
        known = reference.statistics.get(statistic)
        counted = values.counted(known)
        if known is not None and counted.present:
            found.append(Subject(statistic, "model", known, counted))
    return found


def unseen_words(preprocessor: Preprocessor, frame: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Per categorical column, the words that are no known category, and in how many rows they stand."""
    found, schema = {}, dict(frame.schema)
    for feature in preprocessor.categorical:
        if isinstance(feature, CategoricalFeature):
            words = frame.select(as_text(feature.name, schema[feature.name]).alias("word")).drop_nulls()
            counts = words.filter(~pl.col("word").is_in(feature.vocabulary)).group_by("word").len()
            found[feature.name] = dict(counts.iter_rows())
    return found


def quality(statistics: Mapping[str, RowValues]) -> dict[str, float]:
    """How good the probe is on labelled rows: accuracy and ECE, or RMSE; empty where no label is known."""
    known = {name: found.values[np.isfinite(found.values)] for name, found in statistics.items()}
    if "residual" in known and len(known["residual"]):
        return {"rmse": float(np.square(known["residual"]).mean() ** 0.5)}
    if "correct" not in known or not len(known["correct"]):
        return {}
    correct = known["correct"] == 1
    confidence = correct - known["calibration"]  # the statistic is correctness minus confidence
    return {"accuracy": float(correct.mean()), "ece": expected_calibration_error(confidence, correct)}
