"""Calibrates a regressor's uncertainty: chooses and calibrates its intervals, and certifies accepted rows."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from varjepa.amounts import amount
from varjepa.data.encode.encoded import Part
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.evaluation.uncertainty.conformal import largest_cluster
from varjepa.evaluation.uncertainty.number_metrics import (
    NumberRows,
    certify_numbers,
    interval_metrics,
    selective_number_metrics,
)
from varjepa.evaluation.uncertainty.predictive import (
    METHOD,
    Arms,
    IntervalRule,
    RowQuantiles,
    ValidationRows,
    choose_method,
    fit_rule,
)
from varjepa.inference.calibration import CHUNK, assumption_of
from varjepa.inference.generator.table_generator import batches
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.intervals import FittedIntervals
from varjepa.inference.kept_embeddings import Embedder, fresh
from varjepa.inference.model import TrainedModel

FEWEST_VALIDATION = 20
"""With fewer validation rows there is no choice between methods: plain split conformal."""


class PredictedRows(NamedTuple):
    """Labelled rows and what a regressor says of them.

    Attributes:
        maps: of each method (see `predictive`).
        size: predicted size of each row's error [N].
        predictions: [N].
        labels: [N].
        clusters: number of each row's cluster [N], from 0; None where every row is independent.
    """

    maps: dict[METHOD, RowQuantiles]
    size: Floats
    predictions: Floats
    labels: Floats
    clusters: Ints | None

    def ranked(self, rule: IntervalRule | None) -> NumberRows:
        """Errors and uncertainty."""
        uncertainty = self.size if rule is None else rule.uncertainty(rule.interval(self.maps[rule.method]), self.size)
        return NumberRows(uncertainty, self.predictions - self.labels, self.clusters)


@dataclass(frozen=True)
class NumberCalibration:
    """Result of a calibration.

    Attributes:
        model: the calibrated model, which contains `fitted`.
        fitted: with rule and certificate.
        test: the test rows.
        plain: mean width of plain split conformal intervals on the test rows; None without calibration rows.
    """

    model: TrainedModel
    fitted: FittedIntervals
    test: PredictedRows
    plain: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """`interval/...`, `head/crps`, `selective_shipped/...` and `certificate/...`, on the test rows."""
        rule, test = self.fitted.rule, self.test
        if not len(test.labels):
            return {}
        ranked = test.ranked(rule)
        metrics = selective_number_metrics(ranked.uncertainty, ranked.error)
        metrics = {f"selective_shipped/{name}": value for name, value in metrics.items()}
        if rule is not None:
            metrics |= interval_metrics(rule, test.maps[rule.method], test.labels)
        if self.plain is not None:
            metrics["interval/width_plain"] = self.plain
        return metrics | accepted_metrics(self.fitted.certificate, ranked)

    @property
    def decisions(self) -> dict[str, str]:
        """Intervals and certificate, as text for people."""
        rule, certificate = self.fitted.rule, self.fitted.certificate
        intervals, promise = "none: there are too few calibration rows", "none: there are no calibration rows"
        if rule is not None:
            intervals = f"the label of at least {100 * rule.level:g}% of new rows, if {rule.assumption}; {rule.reason}"
        if certificate is not None and certificate.tolerance is not None:
            chosen = self.model.config.uncertainty.tolerance is None
            origin = " (half the range between the quartiles of training labels)" if chosen else ""
            promise = certificate.decision(f"predicted to within {amount(certificate.tolerance)}{origin}")
        return {"intervals": intervals, "certificate": promise}


def calibrate_numbers(
    model: TrainedModel, *, validation: Part, calibration: Part, test: Part, embedder: Embedder | None = None
) -> NumberCalibration:
    """Chooses the method on validation rows, calibrates and certifies on calibration rows, measures on test rows.

    Args:
        model: with a regressor and its intervals before calibration.
        validation: rows for the choice; rows without a label are left out, here and below.
        calibration: rows that are used for nothing else.
        test: rows that neither the choice nor the calibration uses.
        embedder: of the rows; None embeds all of them.

    Raises:
        ValueError: the model has no regressor with intervals.
    """
    section, fitted = model.config.uncertainty, _intervals(model)
    chosen_on, held, tested_on = (predicted_rows(model, part, embedder) for part in (validation, calibration, test))
    largest = largest_cluster(chosen_on.clusters, held.clusters)
    choice: tuple[METHOD, Arms, str] = "split", Arms(), "split, as validation rows are too few to choose"
    if len(chosen_on.labels) >= FEWEST_VALIDATION:
        rows = ValidationRows(chosen_on.maps, chosen_on.labels, chosen_on.clusters)
        choice = choose_method(rows, section.level, largest, model.config.training.seed)
    assumption = assumption_of(model.config.data.split)
    rule = fit_rule(choice, held.maps[choice[0]], held.labels, section.level, largest=largest, assumption=assumption)
    certificate = None
    if len(held.labels):
        certificate = _certified(model, rule, held, chosen_on if len(chosen_on.labels) else tested_on)
    fitted = fitted.calibrated(rule, certificate)
    return NumberCalibration(
        replace(model, intervals=fitted), fitted, tested_on, _plain_width(held, tested_on, section.level, largest)
    )


def _certified(
    model: TrainedModel, rule: IntervalRule | None, held: PredictedRows, other: PredictedRows
) -> Certificate:
    section = model.config.uncertainty
    return certify_numbers(
        held.ranked(rule), other.ranked(rule), tolerance=section.tolerance or _intervals(model).tolerance,
        accuracy=section.accuracy, confidence=section.confidence, assumption=assumption_of(model.config.data.split),
    )  # fmt: skip


def _plain_width(held: PredictedRows, test: PredictedRows, level: float, largest: int) -> float | None:
    """Width of plain split conformal intervals, for comparison."""
    rule = fit_rule(("split", Arms(), ""), held.maps["split"], held.labels, level, largest=largest)
    if rule is None or not len(test.labels):
        return None
    low, high = rule.interval(test.maps["split"])
    return float((high - low).mean())


@torch.inference_mode()
def predicted_rows(model: TrainedModel, part: Part, embedder: Embedder | None = None) -> PredictedRows:
    """What a regressor says of the labelled rows of a part.

    Args:
        model: with a regressor.
        part: rows on any device.
        embedder: of the rows; None embeds all of them.

    Raises:
        ValueError: the model has no regressor with intervals.
    """
    fitted, part, parts = _intervals(model), part.labelled().to(model.device), []
    embedder = embedder or fresh(model.network)
    for rows in batches(max(len(part.labels), 1), CHUNK):  # at least one, so that there are maps without rows
        table = part.table.rows(rows)
        read = HeadRows(embedder(table, part.rows[rows]).mean.flatten(1), table)
        values = model.answers(read)
        if values is None:
            raise ValueError("the model has no regressor")
        predictions = values[:, 0].cpu().numpy()
        maps = {method: fitted.maps(read, predictions, method) for method in fitted.methods}
        parts.append((maps, fitted.size(read, predictions), predictions))
    maps = {
        method: RowQuantiles(parts[0][0][method].scale, np.concatenate([each[0][method].values for each in parts]))
        for method in fitted.methods
    }
    size, predictions = (np.concatenate([each[place] for each in parts]) for place in (1, 2))
    return PredictedRows(maps, size, predictions, part.labels.double().cpu().numpy(), cluster_numbers(part.clusters))


def accepted_metrics(certificate: Certificate | None, rows: NumberRows) -> dict[str, float]:
    """Results of a certificate on rows that it has not seen; empty without one."""
    if certificate is None or certificate.tolerance is None:
        return {}
    accept = rows.uncertainty <= (-np.inf if certificate.threshold is None else certificate.threshold)
    right = np.abs(rows.error) <= certificate.tolerance
    metrics = {
        "certificate/promised": certificate.accuracy, "certificate/coverage": float(accept.mean()),
        "certificate/tolerance": certificate.tolerance, "certificate/rows": float(certificate.independent_rows),
    }  # fmt: skip
    return metrics | ({"certificate/accuracy": float(right[accept].mean())} if accept.any() else {})


def _intervals(model: TrainedModel) -> FittedIntervals:
    if model.intervals is None:
        raise ValueError("the model has no regressor with intervals")
    return model.intervals
