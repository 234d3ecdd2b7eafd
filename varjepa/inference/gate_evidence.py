"""Gathers the evidence for the promotion gate: results of one model on raw test rows."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch

from varjepa.config import RetrainConfig
from varjepa.data.encode.features import LABEL, Label
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.gate.evidence import Evidence, Metric
from varjepa.evaluation.gate.groups import truth_of
from varjepa.evaluation.latents.latents import active_units, rankme
from varjepa.evaluation.uncertainty.calibration import SMALLEST_PROBABILITY
from varjepa.inference.cell_events import CellEvents, cell_events, hidden_log_probs
from varjepa.inference.encoded_frame import EncodedFrame
from varjepa.inference.generator.table_generator import TableGenerator, batches
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.model import TrainedModel
from varjepa.inference.row_elbo import row_elbo
from varjepa.objective.elbo import masked_mean

ELBO_NOTE = "the ELBO scores cells that the model sees, only the structure veto hides them"

LATENT_ROWS = STRUCTURE_ROWS = 2000
"""Number of rows for the check of collapse, and for the log-probabilities of hidden cells."""

LEFT_OUT = 0.01
"""Share of the numbers outside a model's training range from which on it is mentioned."""

BATCH = 1024
"""Rows whose probabilities are computed at a time."""

TIMED_ROWS, TURNS = 256, 5
"""Rows of one timed call, and number of timed calls per model."""


def metric_for(model: TrainedModel, config: RetrainConfig) -> tuple[Metric | None, tuple[str, ...]]:
    """The metric that fits a challenger, and a note if it differs from the configured one."""
    label, configured = model.preprocessor.label, config.gate.metric
    # Metrics that the model can have, the default of `auto` first.
    if label is None:
        fitting: tuple[Metric, ...] = ("elbo",) if model.network.has_scale else ()
    elif label.classes:
        fitting = ("accuracy", "log_loss")
    else:
        fitting = ("squared_error",)
    if label is not None and model.network.has_scale:
        fitting = (*fitting, "elbo")
    chosen = configured if configured in fitting else (fitting[0] if fitting else None)
    notes = (f"gate.metric {configured} does not fit this model, compared as by auto",)
    return chosen, (() if configured in (chosen, "auto") else notes) + ((ELBO_NOTE,) if chosen == "elbo" else ())


def judged_rows(frame: pl.DataFrame, label: Label | None) -> pl.DataFrame:
    """The rows that the gate can judge: all of them, or with a label those whose label is known."""
    if label is None or label.name not in frame.columns:
        return frame
    if label.classes:  # rows of a class unknown to the model stay: they count as errors
        return frame.filter(truth_of(frame, label).is_not_null())
    return frame.filter(frame.lazy().select(label.encode(frame.schema)).collect()[LABEL].is_not_null())


def in_random_order(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows, so that the first ones, on which some checks are made, stand for all of them.

    In the order of a source they are the oldest ones, or all rows of a few customers.
    """
    return frame[np.random.default_rng(0).permutation(frame.height)]


def gather(
    model: TrainedModel,
    frame: pl.DataFrame,
    metric: Metric | None,
    challenger: TrainedModel,
    champion: TrainedModel | None = None,
) -> Evidence:
    """Results of a model on raw rows, in the metric.

    Args:
        model: one of those that are compared.
        frame: raw rows.
        metric: of the goodness; None for none.
        challenger: whose weights and masks an ELBO has, of every model.
        champion: with whom it is compared; None if that is `model`.

    Raises:
        DataError: the model cannot read the rows.
    """
    rows = model.encoded(frame)
    predicted, label = model.predict(rows), model.preprocessor.label
    evidence: dict[str, Any] = {}
    # Right or wrong only in what the challenger predicts: rows are chosen by its label, others may lack theirs.
    if label is not None and label.classes and _same_label(model, challenger) and label.name in frame.columns:
        evidence["confidence"] = predicted["probability"].to_numpy()
        evidence["correct"] = (predicted["prediction"] == truth_of(frame, label)).to_numpy()
    if "probability" in predicted.columns:  # without classes or intervals there is no decision to abstain from
        evidence["uncertainty"] = predicted["uncertainty"].to_numpy()
    evidence |= _number_evidence(model, frame, predicted, challenger)
    if "accept" in predicted.columns:
        evidence["accepted"] = predicted["accept"].to_numpy()
        certificate = model.certificate
        # Unknown for models of older versions: as if it were 0, so that their vetoes are those of before.
        evidence["accepted_error"] = 0.0 if certificate is None else certificate.coverage_error or 0.0
    # Cells compare only between models of the same features.
    events = cell_events(frame, [challenger.preprocessor, (champion or model).preprocessor])
    if events is not None and model.generator is not None:
        evidence["structure"] = _structure(model, model.generator, rows.table, events)
    if metric == "elbo":
        goodness = None if events is None else _elbo(model, rows.table, events, challenger)
    else:
        goodness = None if metric is None else _goodness(model, rows, predicted, metric, challenger)
    return replace(_facts(model, predicted), goodness=goodness, **evidence)


def _number_evidence(
    model: TrainedModel, frame: pl.DataFrame, predicted: pl.DataFrame, challenger: TrainedModel
) -> dict[str, Any]:
    """Of a number with intervals: uncertainty, whether they hold the label, and what they promise."""
    intervals, label = model.intervals, model.preprocessor.label
    if intervals is None or intervals.rule is None:
        return {}
    evidence: dict[str, Any] = {"uncertainty": predicted["uncertainty"].to_numpy()}
    if label is None or not _same_label(model, challenger) or label.name not in frame.columns:
        return evidence
    truth = frame.lazy().select(label.encode(frame.schema)).collect()[LABEL]
    inside = (predicted["low"] <= truth) & (truth <= predicted["high"])
    return evidence | {"covered": inside.fill_null(value=False).to_numpy(), "promised": intervals.rule.level}


def range_notes(frame: pl.DataFrame, challenger: TrainedModel, champion: TrainedModel) -> tuple[str, ...]:
    """A note if many numbers lie outside a model's training range, and are left out where cells are compared."""
    events = cell_events(frame, [challenger.preprocessor, champion.preprocessor])
    shares = [0.0, 0.0] if events is None else events.shares_outside()
    if max(shares) < LEFT_OUT:
        return ()
    outside = f"{shares[0]:.1%} of the numbers lie outside the challenger's training range, {shares[1]:.1%} outside the"
    return (f"{outside} champion's: ELBO and structure leave them out",)


def gather_alone(model: TrainedModel, frame: pl.DataFrame) -> Evidence:
    """The evidence where there is no model to compare with: the embedding of the first rows.

    Raises:
        DataError: the model cannot read the rows.
    """
    return _facts(model, model.predict(frame.head(LATENT_ROWS)))


def _facts(model: TrainedModel, predicted: pl.DataFrame) -> Evidence:
    """Inputs, outputs and label of the model, and the shape of its embedding."""
    sample, label = _flat(predicted)[:LATENT_ROWS], model.preprocessor.label
    return Evidence(
        goodness=None,
        active_units=active_units(sample),
        dimensions=sample.shape[1],
        rankme=rankme(sample),
        inputs=model.preprocessor.kinds,
        outputs=tuple(predicted.columns),
        label="" if label is None else f'"{label.name}" by {label.task}',
        classes=() if label is None else label.classes,
    )


def _flat(predicted: pl.DataFrame) -> torch.Tensor:
    """Embeddings [N, D d]."""
    return torch.from_numpy(predicted["embedding"].to_numpy(writable=True).reshape(predicted.height, -1))


def _structure(model: TrainedModel, generator: TableGenerator, rows: TableTensors, events: CellEvents) -> Floats:
    """Mean log-probability of the cells of each row, each given the others, [n] for the first rows."""
    table, encoded = rows.rows(slice(0, STRUCTURE_ROWS)), events.encoded(model.preprocessor, model.device)
    means = []
    for some in batches(table.n_rows, TIMED_ROWS):
        part, own = table.rows(some), encoded.rows(slice(some.start, min(some.stop, table.n_rows)))
        means.append(masked_mean(hidden_log_probs(generator, part, own), part.observed & own.compared).cpu())
    return torch.cat(means).numpy() if means else np.zeros(0)


def _elbo(model: TrainedModel, table: TableTensors, events: CellEvents, challenger: TrainedModel) -> Floats | None:
    """ELBO of each row [N]; None for models without one."""
    encoded = events.encoded(model.preprocessor, model.device)
    return row_elbo(model, table, encoded, challenger.config.objective, challenger.config.masking)


def _goodness(
    model: TrainedModel, rows: EncodedFrame, predicted: pl.DataFrame, metric: Metric, challenger: TrainedModel
) -> Floats | None:
    """The metric of each row [N], higher is better; None where model and challenger predict different things."""
    label, frame = model.preprocessor.label, rows.frame
    if label is None or model.head is None or not _same_label(model, challenger):
        return None
    if metric == "squared_error":  # negated: higher is better
        truth = frame.lazy().select(label.encode(frame.schema)).collect()[LABEL]
        return -((predicted["prediction"] - truth).to_numpy() ** 2)
    truth = truth_of(frame, label)
    if metric == "accuracy":
        return (predicted["prediction"] == truth).cast(pl.Float64).to_numpy()
    return _log_probability(model, label, truth, HeadRows(_flat(predicted).to(model.device), rows.table))


def _same_label(model: TrainedModel, challenger: TrainedModel) -> bool:
    """Whether both models predict the same column in the same way; also if neither predicts one."""
    labels = (one.preprocessor.label for one in (model, challenger))
    ours, theirs = (None if label is None else (label.name, label.task) for label in labels)
    return ours == theirs


def _log_probability(model: TrainedModel, label: Label, truth: pl.Series, rows: HeadRows) -> Floats:
    """Log of the probability [N] of the true class; a class that the model does not know has the smallest one."""
    parts = (model.answers(rows.take(part)) for part in batches(len(truth), BATCH))
    chances = np.concatenate([part.cpu().numpy() for part in parts if part is not None])  # [N, C]
    # Class numbers of the truth, -1 for a class unknown to the model.
    number = truth.cast(pl.Enum(label.classes), strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    chosen = np.where(number >= 0, chances[np.arange(len(number)), number], 0.0)
    # Not -inf: one row would decide every mean.
    return np.log(np.maximum(chosen, SMALLEST_PROBABILITY))


def milliseconds_in_turns(models: Sequence[TrainedModel], frame: pl.DataFrame, turns: int = TURNS) -> list[float]:
    """Milliseconds per row of each model's `predict`, the fastest of several turns.

    The models take turns, so that a load on the machine affects all of them.
    """
    rows = frame.head(TIMED_ROWS)
    best = [float("inf")] * len(models)
    for turn in range(turns + 1):
        for number, model in enumerate(models):
            began = time.perf_counter()
            model.predict(rows, TIMED_ROWS)
            if turn:  # turn 0 is the warm-up
                best[number] = min(best[number], time.perf_counter() - began)
    return [1000 * seconds / max(rows.height, 1) for seconds in best]
