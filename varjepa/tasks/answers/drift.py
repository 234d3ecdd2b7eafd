"""What commands answer about rows that arrive after training: drift, estimates, promises once labels are known."""

from typing import Any, TypedDict

from varjepa.tasks.answers.retrain import RetrainAnswer


class QualityAnswer(TypedDict):
    """A measure of the head on the reference rows and on the new ones."""

    reference: float
    new: float


class EstimateAnswer(TypedDict):
    """Accuracy of rows without labels: an estimate and a 90% interval; `shift` is in standard deviations."""

    accuracy: float
    low: float
    high: float
    shift: float


class DriftTestAnswer(TypedDict):
    """One test of `varjepa drift`; `effect` is a share of the rows, `adjusted` the p value after Holm's correction."""

    name: str
    group: str
    aspect: str
    test: str
    statistic: float
    p: float
    adjusted: float
    effect: float
    shift: float | None
    psi: float | None
    verdict: str
    says: str


class UnseenClassAnswer(TypedDict):
    """A label that is no class of the model; `spelling_of` is the class that it seems to mean."""

    name: str
    rows: int
    spelling_of: str | None


class DriftSummary(TypedDict):
    """`varjepa drift` without its tests; `columns` are those that drifted, `score` is a share of the rows."""

    model: str
    new: str
    rows: int
    model_rows: int
    drifted: bool
    alarm: bool
    score: float
    columns: list[str]
    settings: dict[str, Any]
    quality: dict[str, QualityAnswer]
    estimate: EstimateAnswer | None
    unseen_classes: list[UnseenClassAnswer]
    training_table: bool


class DriftAnswer(DriftSummary):
    """`varjepa drift`: with its run, the report, the event that it emitted and the retrain that it started."""

    run_id: str
    report: str
    tests: list[DriftTestAnswer]
    event: str | None
    retrained: RetrainAnswer | None
    seconds: float


class DayAnswer(TypedDict):
    """A day of a backfill; `state` is compared, skipped (it was compared before) or failed, with the reason."""

    day: str
    state: str
    reason: str
    run_id: str | None
    rows: int
    score: float | None
    alarm: bool


class BackfillAnswer(TypedDict):
    """`varjepa watch --from --to`: the days, oldest first."""

    name: str
    days: list[DayAnswer]
    seconds: float


class PromiseAnswer(TypedDict):
    """A promise of a model and what came of it, with a 95% interval; `verdict` is held, broken or open."""

    name: str
    promised: float
    measured: float
    low: float
    high: float
    rows: int
    verdict: str
    says: str


class EvaluateAnswer(TypedDict):
    """`varjepa evaluate`: metrics of the labelled rows, promises, and what was estimated without their labels.

    `training_table`: the rows come from the very table that the model was trained on.
    """

    model: str
    run_id: str
    rows: int
    metrics: dict[str, float]
    promises: list[PromiseAnswer]
    estimate: EstimateAnswer | None
    training_table: bool
    seconds: float
