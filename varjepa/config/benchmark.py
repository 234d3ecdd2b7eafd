"""Settings of the benchmark: tables, feature sets, predictors and protocol (section 4.2, C.1)."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from varjepa.config.base import ONCE, OPERATIONAL, Draws, Positive, Section, Seed, Workers
from varjepa.config.operations import TrackingSection
from varjepa.config.predictors import PredictorSettings
from varjepa.config.retrain import RetrainConfig

FeatureSet = Literal["raw", "untrained", "t_jepa", "var_t_jepa"]
PredictorName = Literal["mlp", "dcnv2", "resnet", "autoint", "ft_transformer", "xgboost",
                        "linear", "lightgbm", "tabm", "realmlp", "skrub_linear", "skrub_trees"]  # fmt: skip
Protocol = Literal["inductive", "paper"]
Selection = Literal["probe", "own"]
Runner = Literal["processes", "threads", "dask"]

FEATURE_SETS: tuple[FeatureSet, ...] = get_args(FeatureSet)
PREDICTORS: tuple[PredictorName, ...] = get_args(PredictorName)
PUBLISHED: tuple[PredictorName, ...] = PREDICTORS[:6]
"""Predictors of the paper."""
LIBRARIES: dict[PredictorName, str] = {
    "lightgbm": "lightgbm", "tabm": "tabm", "realmlp": "pytabkit", "skrub_linear": "skrub", "skrub_trees": "skrub"
}  # fmt: skip
"""Predictors that need a library of the extra `field`."""
ON_FRAMES: tuple[PredictorName, ...] = ("skrub_linear", "skrub_trees")
"""Predictors that read the raw columns of the table themselves, and no other features."""


class BenchmarkConfig(Section):
    """The settings of one benchmark."""

    datasets: dict[str, RetrainConfig]
    """Name -> configuration of its retrain job, whose encoders are trained and compared."""
    features: Annotated[tuple[FeatureSet, ...], Field(min_length=1), ONCE] = FEATURE_SETS
    """Feature sets that the predictors are trained on."""
    predictors: Annotated[tuple[PredictorName, ...], Field(min_length=1), ONCE] = PUBLISHED
    """Predictors that are compared. Those that read raw columns themselves (skrub_linear, skrub_trees) are computed for
    raw features only."""
    labels: Annotated[tuple[Positive | Literal["all"], ...], ONCE] = ()
    """Numbers of labelled rows. If given, the benchmark draws accuracy or R2 over them instead of comparing predictors:
    trees and a linear model on raw columns, a linear model on the embedding, trees on both. The encoder of each data
    set (of its own kind) is trained once, on all training rows, without any label."""
    seeds: Draws = 5
    """Runs of every predictor on each encoder, or draws of labelled rows."""
    encoder_seeds: Draws = 1
    """Encoders that are trained of each kind on each split. All of a kind have seeds of their own: `training.seed`,
    `training.seed` + 1, ..., from split to split."""
    splits: Draws = 1
    """Splits of each table, with the seeds `data.split.seed`, `data.split.seed` + 1, ...; where a table is a sample of
    its rows, each split has a sample of its own."""
    selection: Selection = "probe"
    """How epochs of encoders are selected. probe: all epochs are trained, and the one with the best linear probe on the
    validation rows is kept, for every kind alike. own: as each job says, or by the default of the kind."""
    seed: Seed = 0
    """The first of the seeds."""
    protocol: Protocol = "inductive"
    """inductive: preprocessing and encoders see training rows only; paper: all rows, never their labels."""
    runner: Annotated[Runner, OPERATIONAL] = "processes"
    """Where cells are computed: processes or threads of this machine, or a Dask cluster."""
    workers: Annotated[Workers, OPERATIONAL] = 0
    """Cells computed in parallel, one thread each; 0: one per core."""
    dask_address: Annotated[str | None, OPERATIONAL] = None
    """Scheduler of a running Dask cluster (runner: dask). If not given, a local cluster is started."""
    training: PredictorSettings = PredictorSettings()
    tracking: Annotated[TrackingSection, OPERATIONAL] = TrackingSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "raw" not in self.features and set(self.predictors) <= set(ON_FRAMES):
            raise ValueError(f"{' and '.join(self.predictors)} need the feature set raw, which features leaves out")
        for name, job in self.datasets.items():
            if self.splits > 1 and job.data.split.by in ("column", "time"):
                raise ValueError(
                    f'splits is {self.splits}, but the data set "{name}" has one split only: its data.split.by is '
                    f"{job.data.split.by}"
                )
        return self
