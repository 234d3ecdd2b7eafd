"""What commands answer with `--json`, key by key; flows and tasks build these, tables on the terminal read them."""

from typing import Any, NotRequired, TypedDict


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


class SourcePlan(TypedDict):
    """A table that would be read; null for what shows only when it is."""

    place: str
    files: int | None
    rows: int | None
    unused: list[str] | None


class FilePlan(TypedDict):
    """`--dry-run` of `varjepa score` and other commands over tables; `reads` are the columns that the model reads.

    `left_out` are groups of columns that OUT cannot hold; `action` is write, replace or append.
    """

    dry_run: bool
    model: str
    reads: list[str]
    sources: list[SourcePlan]
    columns: list[str]
    left_out: list[str]
    out: str
    action: str


class FileAnswer(TypedDict):
    """`varjepa score`, `impute` and `sample`.

    `accepted` is a share of the rows, and there where the model has a certificate; `cells` is how many were imputed;
    `files` and `scored` count the files of a folder.
    """

    rows: int
    out: str
    seconds: float
    rows_per_second: int
    accepted: NotRequired[float]
    cells: NotRequired[int]
    files: NotRequired[int]
    scored: NotRequired[int]


class SimilarAnswer(TypedDict):
    """`varjepa similar`, `duplicates` and `outliers`.

    `rows` were written; `index` is the folder of the table's index, and `reused` says whether it was there already;
    `queries` counts the rows of QUERY.
    """

    rows: int
    table_rows: int
    out: str
    index: str
    reused: bool
    seconds: float
    queries: NotRequired[int]


class ColumnAnswer(TypedDict):
    """A column as `varjepa init` sees it; `missing` is a share of the rows.

    `format` is there for columns that are not in the plain spelling; see `data.columns` of the config.
    """

    kind: str
    missing: float
    distinct: int
    format: NotRequired[str | tuple[str, ...] | None]


class InitAnswer(TypedDict):
    """`varjepa init`: the two files it wrote and what it saw; `obstacles` say why a retrain will refuse the table."""

    config: str
    contract: str
    rows: int
    label: str | None
    columns: dict[str, ColumnAnswer]
    obstacles: list[str]


class GateAnswer(TypedDict):
    """The gate's verdict on a version, from its tags; `vetoes` are names, separated by commas."""

    outcome: str
    vetoes: str
    reason: str


class VersionAnswer(TypedDict):
    """A registered version in `varjepa models`; `quality` is the probe's accuracy or R2."""

    name: str
    version: int
    aliases: list[str]
    created: str
    quality: float | None
    rows: str
    run_id: str | None
    gate: GateAnswer


class ChampionAnswer(TypedDict):
    """A change of the champion in `varjepa models`; `steps` is how far a rollback went back."""

    name: str
    version: int
    before: int | None
    by: str
    who: str
    time: str
    reason: str
    steps: int


class VerdictAnswer(TypedDict):
    """What the gate had said of a version that a person promotes."""

    outcome: str | None
    vetoes: list[str]
    reason: str


class MoveAnswer(TypedDict):
    """`varjepa promote` (with `gate` and `forced`) and `varjepa rollback` (with `steps`)."""

    name: str
    version: int
    uri: str
    before: int | None
    moved: bool
    dry_run: bool
    gate: NotRequired[VerdictAnswer]
    forced: NotRequired[bool]
    steps: NotRequired[int]


class ApprovalAnswer(TypedDict):
    """`varjepa approve` and `varjepa reject`: `state` is approved or rejected, `before` the champion until then."""

    name: str
    version: int
    uri: str
    before: int | None
    moved: bool
    state: str
    who: str
    why: str


class VerifyAnswer(TypedDict):
    """`varjepa verify`: what was checked and what was not, in words; `manifest` is its SHA-256, `signed_by` the
    SHA-256 of the public key that its signature names; null without one.
    """

    model: str
    folder: str
    manifest: str | None
    signed_by: str | None
    checked: list[str]
    not_checked: list[str]


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


class ScoredDayAnswer(TypedDict):
    """A day of `varjepa score --from --to`; `state` is scored, skipped (there is a file) or failed, with the reason."""

    day: str
    state: str
    reason: str
    rows: int
    out: str


class ScoredDaysAnswer(TypedDict):
    """`varjepa score --from --to`: the days, oldest first."""

    days: list[ScoredDayAnswer]
    seconds: float


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
    """`varjepa evaluate`: metrics of the labelled rows, promises, and what was estimated without their labels."""

    model: str
    run_id: str
    rows: int
    metrics: dict[str, float]
    promises: list[PromiseAnswer]
    estimate: EstimateAnswer | None
    seconds: float


class SimulationAnswer(TypedDict):
    """`varjepa simulate`: means over runs per model, and the published table beside ours."""

    run_id: str
    models: dict[str, dict[str, float]]
    table: list[dict[str, Any]]
    report: str
    seconds: dict[str, float]


class CellAnswer(TypedDict):
    """A cell of the benchmark; one value per seed. Splits and encoders are counted from 0."""

    dataset: str
    features: str
    predictor: str
    split: int
    encoder: int
    metrics: dict[str, list[float]]
    best_epochs: list[int]
    drawn: dict[str, float]
    seconds: float


class BenchmarkAnswer(TypedDict):
    """`varjepa benchmark`: cells, means beside the published ones, duels of feature sets, and who won how often."""

    run_id: str
    cells: list[CellAnswer]
    table: list[dict[str, Any]]
    duels: list[dict[str, Any]]
    tally: dict[str, dict[str, int]]
    report: str
    seconds: dict[str, float]


class LabelCurvesAnswer(TypedDict):
    """`varjepa benchmark --labels`: means with intervals, pairs of methods, a sentence for each number of labels."""

    run_id: str
    points: list[dict[str, Any]]
    gaps: list[dict[str, Any]]
    verdicts: dict[str, str]
    report: str
    seconds: dict[str, float]


class TunedSettings(TypedDict):
    """The best trial of a search: what it changes, and the values before."""

    trial: int
    settings: dict[str, Any]
    before: dict[str, Any]


class TuneAnswer(TypedDict):
    """`varjepa tune`: all trials of the study, the best one, and what it is worth on test rows.

    `config` is the tuned config, once it is written.
    """

    run_id: str
    study: str
    trials: list[dict[str, Any]]
    best: TunedSettings
    comparison: dict[str, Any]
    seconds: float
    config: NotRequired[str]


class JoinedAnswer(TypedDict):
    """A training that `varjepa join` has taken part in: the name of its step, and how many machines trained."""

    training: str
    machines: int
    seconds: float


class JoinAnswer(TypedDict):
    """`varjepa join`: the trainings in the order of their ends."""

    joined: list[JoinedAnswer]


class RemovedAnswer(TypedDict):
    """Something that `varjepa clean` removed, or would remove; `bytes` is None if unknown."""

    kind: str
    name: str
    bytes: int | None
    why: str


class CleanAnswer(TypedDict):
    """`varjepa clean`: what was removed, and how much room it took; with `dry_run`, what would be."""

    dry_run: bool
    removed: list[RemovedAnswer]
    bytes: int
    kept: list[str]
