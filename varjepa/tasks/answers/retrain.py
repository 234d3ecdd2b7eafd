"""What retrains answer, planned and skipped ones included."""

from typing import TypedDict


class ModelAnswer(TypedDict):
    """The version that a retrain made; `version` and `uri` are null in a dry run."""

    name: str
    version: int | None
    uri: str | None
    aliases: list[str]


class DataAnswer(TypedDict):
    """The rows that a retrain saw: their number, how many are in quarantine, and the number of features."""

    rows: int
    quarantined: int
    fingerprint: str
    features: int


class RetrainAnswer(TypedDict):
    """`varjepa retrain`: metrics as in the tracking UI, the gate's decision, seconds per step and in total."""

    run_id: str
    model: ModelAnswer
    data: DataAnswer
    metrics: dict[str, float]
    promoted: bool
    reason: str
    seconds: dict[str, float]


class PlanAnswer(TypedDict):
    """`varjepa retrain --plan`: what the run would do; `columns` are features and the label with their kinds."""

    plan: bool
    model: str
    data: DataAnswer
    source_rows: int
    columns: dict[str, str]
    left_out: dict[str, str]
    parts: dict[str, int]
    epochs: int
    size: dict[str, int]
    steps: list[str]
    reused: list[str]
    seconds: dict[str, int]
    quick_seconds: int


class SkippedData(TypedDict):
    """The rows that a skipped retrain did not look at again."""

    rows: int
    fingerprint: str


class SkipAnswer(TypedDict):
    """A scheduled retrain that had nothing to do; `same` names the run and the version of the same job."""

    run_id: str
    skipped: bool
    reason: str
    same: dict[str, str]
    data: SkippedData


class JoinedAnswer(TypedDict):
    """A training that `varjepa join` has taken part in: the name of its step, and how many machines trained."""

    training: str
    machines: int
    seconds: float


class JoinAnswer(TypedDict):
    """`varjepa join`: the trainings in the order of their ends."""

    joined: list[JoinedAnswer]
