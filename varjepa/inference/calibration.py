"""Calibrates a classifier's uncertainty: measures rows, chooses the measure that ships, and certifies it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.data import SplitSection
from varjepa.config.heads import MEASURE
from varjepa.data.encode.encoded import Part
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.probe import fit_probe
from varjepa.evaluation.uncertainty.certificate import Certificate, RankedRows, certify, coverage_error
from varjepa.evaluation.uncertainty.class_certificates import PredictedClasses, certify_classes
from varjepa.evaluation.uncertainty.compare_measures import BASELINE, Comparison, choose, compare
from varjepa.evaluation.uncertainty.prediction_sets import LabelledRows, SetRule, fit_sets
from varjepa.evaluation.uncertainty.selective import Floats, selective_metrics
from varjepa.inference.fitted_uncertainty import FittedUncertainty, mixed
from varjepa.inference.generator.table_generator import batches
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.labelled import folds_of
from varjepa.inference.kept_embeddings import Embedder, fresh
from varjepa.inference.measures import CHEAP, PASSES, Measures, error_features
from varjepa.inference.model import TrainedModel

log = logging.getLogger("varjepa")

CHUNK = 1024
"""Rows whose measures are computed at a time."""

CHOICE_ROWS = 20_000
"""Largest number of validation rows, evenly spaced, that choose a measure: thousands of resamples of them are drawn."""

PILOT_ROWS = 2048
"""Of more validation rows, so many, evenly spaced, show which measures that take passes through the network are worth
them. One that is better by just enough to be chosen, of 5,000 rows, fails there with a chance of 3%."""

FEWEST_ERRORS = 30
"""Errors, and right answers, among the validation rows that an error model needs."""

L2_ERROR_MODEL = 1e-2
"""Its ridge penalty per row."""

RESAMPLES = 40
"""Draws of calibration rows that show how much the coverage of a certificate varies: to about a tenth of that."""


class MeasuredRows(NamedTuple):
    """Labelled rows and a classifier's uncertainty about them.

    Attributes:
        measures: uncertainty [N] per measure, larger = less sure.
        error: whether the prediction is wrong, bool [N].
        labels: class numbers, int64 [N]; a class that training has not seen has the number of classes.
        rows: row numbers of the source, int64 [N].
        clusters: cluster of each row, int64 [N], from 0; None where every row is independent.
        probabilities: calibrated, of every class, float64 [N, C].
    """

    measures: dict[MEASURE, Floats]
    error: NDArray[np.bool_]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]
    clusters: NDArray[np.int64] | None = None
    probabilities: Floats = np.zeros((0, 0))

    @property
    def labelled(self) -> LabelledRows:
        """The rows as prediction sets need them."""
        return LabelledRows(self.probabilities, self.labels, self.clusters)

    def predicted(self, measure: MEASURE) -> PredictedClasses:
        """The rows by one of the measures, and what they are predicted as."""
        return PredictedClasses(self.ranked(measure), self.probabilities.argmax(1))

    def ranked(self, measure: MEASURE) -> RankedRows:
        """The rows by one of the measures."""
        return RankedRows(self.measures[measure], ~self.error, self.clusters)


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration.

    Attributes:
        model: the calibrated model, which contains `fitted`.
        fitted: with the measure that ships, the reason of the choice, and the certificate: the promise for accepted
            rows, None without labelled calibration rows.
        test: every measure on the test rows.
        compared: every measure against maximum probability on the test rows.
        sets: rule of the prediction sets; None without labelled calibration rows.
        by_class: a certificate for the rows that are predicted as each class; empty without calibration rows.
    """

    model: TrainedModel
    fitted: FittedUncertainty
    test: MeasuredRows
    compared: dict[MEASURE, Comparison]
    sets: SetRule | None = None
    by_class: dict[str, Certificate] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """`selective_shipped/...`, `uncertainty/MEASURE_...` and `certificate/...`, on the test rows."""
        shipped, error = self.test.measures[self.fitted.measure], self.test.error
        metrics = {f"selective_shipped/{name}": value for name, value in selective_metrics(shipped, error).items()}
        for name, comparison in self.compared.items():
            metrics |= {f"uncertainty/{name}_{key}": comparison.metrics[key] for key in ("aurc", "failure_auroc")}
        return metrics | certificate_metrics(self.fitted.certificate, shipped, error)


def calibrate_model(
    model: TrainedModel, *, validation: Part, calibration: Part, test: Part, embedder: Embedder | None = None
) -> Calibration:
    """Chooses the uncertainty measure on validation rows, certifies it on calibration rows, measures on test rows.

    Args:
        model: with a classifier.
        validation: rows for the choice; rows without a label are left out, here and below. Rows of a class that
            training has not seen count as errors.
        calibration: rows that are used for nothing else.
        test: rows that neither the choice nor the certificate uses; without any nothing is compared.
        embedder: of the rows; None embeds all of them.

    Raises:
        ValueError: the model has no classifier.
    """
    section, hopeless = model.config.uncertainty, without_promise(model, validation, embedder)
    chosen_on = measure_rows(model, validation, _compared(model, hopeless), embedder)
    model, chosen_on = with_error_model(model, chosen_on)
    measures = _measures(model)
    tested_on = measure_rows(model, test, _compared(model, hopeless), embedder)
    measure, reason = choose_measure(section.score, chosen_on)
    # Measured only after the choice, so that calibration rows cannot influence it.
    held = measure_rows(model, calibration, [measure], embedder)
    certificate, sets, by_class = None, None, {}
    if len(held.error):
        # Candidate thresholds come from rows other than those that test them.
        other = chosen_on if len(chosen_on.error) else tested_on
        parts = held.ranked(measure), other.ranked(measure)
        error = coverage_error(*parts, accuracy=section.accuracy, confidence=section.confidence, resamples=RESAMPLES)
        certificate = certify(
            *parts, accuracy=section.accuracy, confidence=section.confidence,
            assumption=assumption_of(model.config.data.split),
        )  # fmt: skip
        certificate = certificate.model_copy(update={"coverage_error": error})
        sets = fit_sets(chosen_on.labelled, held.labelled, section.level, seed=model.config.training.seed)
        by_class = certify_classes(
            held.predicted(measure), other.predicted(measure), _class_names(model), accuracy=section.accuracy,
            confidence=section.confidence, assumption=certificate.assumption,
        )  # fmt: skip
    # Models are frozen: the result is a copy with the choice in it.
    fitted = replace(measures.fitted, measure=measure, reason=reason, certificate=certificate)
    compared = compare(tested_on.measures, tested_on.error, clusters=tested_on.clusters) if len(tested_on.error) else {}
    return Calibration(replace(model, fitted=fitted, sets=sets), fitted, tested_on, compared, sets, by_class)


def without_promise(model: TrainedModel, validation: Part, embedder: Embedder | None = None) -> set[MEASURE]:
    """Measures that take passes through the network and rank the errors of `PILOT_ROWS` validation rows no better.

    No better than maximum probability, which is what a measure that ships must be beyond doubt. None of tables with
    fewer validation rows, and none where all measures are compared with a known ambiguity.

    Args:
        model: with a classifier.
        validation: rows for the choice of a measure.
        embedder: of the rows; None embeds all of them.
    """
    section, part = model.config.uncertainty, validation.labelled()
    costly = [name for name in _measures(model).compared() if name in PASSES and name != section.score]
    if len(part.rows) <= PILOT_ROWS or not costly or section.known is not None:
        return set()
    picks = torch.linspace(0, len(part.rows) - 1, PILOT_ROWS, dtype=torch.float64).long().to(part.labels.device)
    pilot = measure_rows(model, part.take(picks), [BASELINE, *costly], embedder)
    areas = {name: selective_metrics(values, pilot.error)["aurc"] for name, values in pilot.measures.items()}
    return {name for name in costly if not areas[name] < areas[BASELINE]}


def measure_rows(
    model: TrainedModel, part: Part, names: Sequence[MEASURE], embedder: Embedder | None = None
) -> MeasuredRows:
    """Measures the labelled rows of a part.

    Args:
        model: with a classifier.
        part: rows on any device.
        names: some of those that the model can compute (see `Measures.available`).
        embedder: of the rows; None embeds all of them.

    Raises:
        ValueError: the model has no classifier.
    """
    measures, part, embedder = _measures(model), part.labelled().to(model.device), embedder or fresh(model.network)
    columns: dict[MEASURE, list[Tensor]] = {name: [] for name in names}
    errors = [torch.zeros(0, dtype=torch.bool)]  # not empty, so that `cat` works without rows
    probabilities = [torch.zeros(0, len(_class_names(model)), dtype=torch.float64)]
    for rows in batches(len(part.labels), CHUNK):
        table = part.table.rows(rows)
        embedding = embedder(table, part.rows[rows])
        chances = measures.probabilities(HeadRows(embedding.mean.flatten(1), table))
        for name, values in measures(table, embedding, list(names), chances).items():
            columns[name].append(values.cpu())
        errors.append((chances.argmax(1) != part.labels[rows].long()).cpu())
        probabilities.append(chances.cpu())
    joined = {name: torch.cat(values).numpy() if values else np.zeros(0) for name, values in columns.items()}
    clusters = cluster_numbers(part.clusters)
    labels = part.labels.long().cpu().numpy()
    return MeasuredRows(
        joined, torch.cat(errors).numpy(), labels, part.rows, clusters, torch.cat(probabilities).numpy()
    )


def with_error_model(model: TrainedModel, validation: MeasuredRows) -> tuple[TrainedModel, MeasuredRows]:
    """A model that also has the measure `error_model`, if there are errors enough to learn from.

    Args:
        model: with a classifier.
        validation: rows with the other measures.

    Returns:
        the model, and the rows with the measure. For them it is cross-fitted: what the error model says of a row is
        learned from other folds, as for new rows.
    """
    inputs = tuple(name for name in validation.measures if name in CHEAP)
    x = error_features({name: torch.from_numpy(validation.measures[name]) for name in inputs})
    wrong = torch.from_numpy(validation.error)
    fold = folds_of(len(wrong), None if validation.clusters is None else validation.clusters.astype(np.uint64), 0)
    enough = min(int(wrong.sum()), int((~wrong).sum())) >= FEWEST_ERRORS
    if not enough or not all(mixed(wrong[torch.from_numpy(fold != number)]) for number in np.unique(fold)):
        return model, validation
    held, probe = np.zeros(len(wrong)), fit_probe(x, wrong, n_classes=2, l2=L2_ERROR_MODEL)
    for number in np.unique(fold):
        rows = torch.from_numpy(fold == number)
        part = fit_probe(x[~rows], wrong[~rows], n_classes=2, l2=L2_ERROR_MODEL, like=probe)
        held[fold == number] = part.predict(x[rows]).double().softmax(1)[:, 1].numpy()
    fitted = replace(_measures(model).fitted, error_model=probe.to(model.device), error_inputs=inputs)
    return replace(model, fitted=fitted), validation._replace(measures=validation.measures | {"error_model": held})


def assumption_of(split: SplitSection) -> str:
    """What has to be true of new rows for a certificate to hold, in words."""
    if split.by == "time":
        return (
            "new rows are like the calibration rows; the rows were split by time, so this is assumed: whatever changes "
            "with time changes it"
        )
    if split.by == "column":
        return f'new rows are like the calibration rows, which the column "{split.column}" has chosen'
    if split.by == "hash" and split.column:
        # The test allows for one more cluster of the largest size, and for none that is larger.
        return (
            f'new values of "{split.column}" are drawn like those of the table, and none has more rows than the '
            "largest of the calibration and validation rows"
        )
    return "new rows are drawn like those of the table"


def choose_measure(wanted: Literal["auto", MEASURE], validation: MeasuredRows) -> tuple[MEASURE, str]:
    """The measure that ships, and why.

    Args:
        wanted: a measure by name, or auto: maximum probability, unless another one is significantly better.
        validation: rows with all measures that the model has.
    """
    names = validation.measures.keys()
    if wanted in names:
        return wanted, "the configuration names it"
    if wanted != "auto":
        log.warning("This model has no %s: the measure is chosen as for auto.", wanted)
    if not validation.error.any() or validation.error.all():
        return "max_probability", "there are no errors among the validation rows to rank, or nothing but errors"
    picks = np.linspace(0, len(validation.error) - 1, min(len(validation.error), CHOICE_ROWS)).astype(np.int64)
    measures = {name: values[picks] for name, values in validation.measures.items()}
    clusters = None if validation.clusters is None else cluster_numbers(validation.clusters[picks])
    return choose(measures, validation.error[picks], clusters=clusters)


def certificate_metrics(
    certificate: Certificate | None, uncertainty: Floats, error: NDArray[np.bool_]
) -> dict[str, float]:
    """Results of a certificate on rows [N] that it has not seen; empty without one."""
    if certificate is None:
        return {}
    # Without a threshold no row is accepted.
    accept = uncertainty <= (-np.inf if certificate.threshold is None else certificate.threshold)
    metrics = {
        "certificate/promised": certificate.accuracy, "certificate/coverage": float(accept.mean()),
        "certificate/rows": float(certificate.independent_rows),
    }  # fmt: skip
    return metrics | ({"certificate/accuracy": float(1 - error[accept].mean())} if accept.any() else {})


def _class_names(model: TrainedModel) -> tuple[str, ...]:
    label = model.preprocessor.label
    return () if label is None else label.classes


def _compared(model: TrainedModel, hopeless: set[MEASURE]) -> list[MEASURE]:
    """Measures to compare, but those without promise."""
    return [name for name in _measures(model).compared() if name not in hopeless]


def _measures(model: TrainedModel) -> Measures:
    measures = model.measures()
    if measures is None:
        raise ValueError("the model has no classifier, so there are no errors to be unsure of")
    return measures
