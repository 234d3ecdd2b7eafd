"""What studies and searches answer."""

from typing import Any, NotRequired, TypedDict


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
