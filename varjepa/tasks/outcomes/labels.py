"""Reads labelled rows, and joins labels that arrived later to the scores of their rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from varjepa.config import DataSection
from varjepa.data.cells import column
from varjepa.data.encode.features import Label
from varjepa.data.read.named_columns import renamed, require_present
from varjepa.data.read.sources import open_path
from varjepa.errors import DataError, ModelError, listed
from varjepa.inference.answer_columns import ON_REQUEST
from varjepa.inference.gate_evidence import judged_rows
from varjepa.inference.model import TrainedModel
from varjepa.tasks.drift.training_table import without_parts
from varjepa.tasks.registry.open_model import REGISTRY, version_of
from varjepa.tasks.scoring.one_file import batch_rows
from varjepa.tasks.scoring.stream import batches_of
from varjepa.tasks.serving.prediction_log import OWN
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.open_table import opened_table

ANSWERS = ("prediction", "probability", "accept", "low", "high", "set")
"""Columns of scores that an evaluation uses, where they are there."""

_SEEN = ("train", "validation", "calibration")
_UNSEEN_ROWS = "it is judged by its test rows alone, which nothing was trained or chosen on"
_ALL_ROWS = "rows that were trained on are predicted better than new ones, so these figures say too much"

SETS: tuple[ON_REQUEST, ...] = ("set",)
"""Columns that are asked for if the model has prediction sets."""


@dataclass(frozen=True)
class Labelled:
    """Input of an evaluation.

    Attributes:
        model: as for `varjepa score`.
        labelled: file, folder, glob or URI of rows with labels.
        scored: output of `varjepa score` for these rows, before their labels were known; None to score them now.
        key: column that names a row in both tables; needed with `scored`.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        reading: query, parameters and version (at) of the labelled rows.
    """

    model: str
    labelled: str
    scored: str | None = None
    key: str | None = None
    tracking_uri: str | None = None
    device: str = "auto"
    reading: Mapping[str, Any] = field(default_factory=dict)


def label_of(model: TrainedModel) -> Label:
    """The label that a model predicts.

    Raises:
        ModelError: it predicts none.
    """
    if model.preprocessor.label is None or model.head is None:
        raise ModelError(
            "The model predicts no label, so there is nothing to evaluate.",
            fix="Train it with data.label, or compare rows with `varjepa drift`.",
        )
    return model.preprocessor.label


def scored_now(
    model: TrainedModel, question: Labelled, label: Label, *, known: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers for the labelled rows, and the rows themselves; rows without a label are left out.

    Args:
        model: that answers.
        question: the rows.
        label: what the model predicts.
        known: the rows are the table that the model was trained on: only its test rows count.

    Raises:
        DataError: the rows cannot be read, lack a column, or none has a label.
    """
    data = section_at(model.config.data, question.labelled, **question.reading)
    answers, kept = [], []
    with opened_table(data, model.preprocessor.text) as source:
        if known:
            source = without_parts(source, data, _SEEN, _UNSEEN_ROWS, _ALL_ROWS)  # noqa: PLW2901 (fewer rows)
        for frame in batches_of(source, data, batch_rows(model, 0)):
            require_present([label.name], frame.columns, question.labelled)
            rows = judged_rows(frame, label)
            found = model.predict(rows, also=() if model.sets is None else SETS)
            answers.append(found.select([name for name in ANSWERS if name in found.columns]))
            kept.append(rows)
    if not kept or not sum(frame.height for frame in kept):
        raise DataError(f"No row of {question.labelled} has a label.", expected=f'Expected values in "{label.name}".')
    return pl.concat(answers), pl.concat(kept)


def scored_before(
    model: TrainedModel, question: Labelled, label: Label, *, known: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers that were written before the labels were known, and the labels, joined by the key.

    Args:
        model: that has answered.
        question: the labels, the answers and the key.
        label: what the model predicts.
        known: the labelled rows are the table that the model was trained on: only its test rows count.

    Raises:
        DataError: a table cannot be read, lacks a column, holds a key twice, or no key is in both.
    """
    key = str(question.key)
    data = section_at(model.config.data, question.labelled, **question.reading)
    with opened_table(data, [*model.preprocessor.text, key]) as source:
        if known:
            source = without_parts(source, data, _SEEN, _UNSEEN_ROWS, _ALL_ROWS)  # noqa: PLW2901 (fewer rows)
        labels = renamed(source.frame, data.rename).collect()
    require_present((key, label.name), labels.columns, question.labelled)
    version = version_of(question.model, question.tracking_uri)
    served = None if version is None else f"{REGISTRY}{version[0]}/{version[1]}"
    # As text, so that a class 1.50 or a customer 007 is no number.
    text = [*(["prediction", *SETS] if label.classes else []), *([key] if labels.schema[key] == pl.String else [])]
    scores = answers_of(_scores(str(question.scored), key, text), str(question.scored), key, served)
    for frame, place in ((labels, question.labelled), (scores, str(question.scored))):
        if (twice := frame.height - frame[key].n_unique()) > 0:
            words = f'{place} has {twice:,} repeated values in the key "{key}".'
            raise DataError(words, expected="Expected every value once.")
    own = [name for name in ANSWERS if name in scores.columns]
    answers = scores.select(column(key).cast(pl.String), *(column(name).alias(f"answer {name}") for name in own))
    right = judged_rows(labels, label).select(
        column(key).cast(pl.String), *(column(name).alias(f"of the row {name}") for name in labels.columns)
    )
    joined = answers.join(right, on=key, how="inner", maintain_order="left")
    if joined.is_empty():
        raise DataError(
            f'No value of the key "{key}" of {question.labelled} is in {question.scored}.',
            fix="Score with --keep KEY, and give the same column here.",
        )
    answers = joined.select(column(f"answer {name}").alias(name) for name in own)
    return answers, joined.select(column(f"of the row {name}").alias(name) for name in labels.columns)


def _scores(place: str, key: str, text: Collection[str]) -> pl.DataFrame:
    """Scores as `varjepa score` has written them, some columns of them as text.

    Raises:
        DataError: there are none, or they lack the key or the prediction.
    """
    if not Path(place).exists():
        raise DataError(f"{place} does not exist.", expected="Expected an output of `varjepa score`.")
    frame = open_path(place, DataSection(path=place), text).frame.collect()
    require_present((key, "prediction"), frame.columns, place)
    return frame


def answers_of(frame: pl.DataFrame, place: str, key: str, version: str | None) -> pl.DataFrame:
    """Scores as they are; of the log of `varjepa serve`, the model's newest answer to each key.

    The log also holds answers of other versions and of a shadow, and those to requests that were made again.

    Args:
        frame: scores, or rows of the log.
        place: of them, for messages.
        key: column that names a row.
        version: that is judged, such as models:/people/3; None for a folder, which only answers count for.

    Raises:
        DataError: the log has no answer of the model.
    """
    if not set(OWN) <= set(frame.columns):
        return frame
    mine = frame.filter(pl.col("role") == "answer" if version is None else pl.col("version") == version)
    if mine.is_empty():
        raise DataError(f"{place} holds no answers of {version or 'a model'}.",
                        expected=f"It holds those of {listed(frame['version'].unique().sort())}.")  # fmt: skip
    mine = mine.sort("time", maintain_order=True)
    return mine.filter(mine[key].is_last_distinct())
