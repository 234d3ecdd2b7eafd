"""Settings of the benchmark: tables, feature sets, predictors and protocol (section 4.2, C.1)."""

from typing import Annotated, Literal, get_args

from varjepa.config.base import OPERATIONAL, NonNegative, Positive, Section
from varjepa.config.operations import TrackingSection
from varjepa.config.predictors import PredictorSettings
from varjepa.config.retrain import RetrainConfig

FeatureSet = Literal["raw", "t_jepa", "var_t_jepa"]
PredictorName = Literal["mlp", "dcnv2", "resnet", "autoint", "ft_transformer", "xgboost"]
Protocol = Literal["inductive", "paper"]
Runner = Literal["processes", "threads", "dask"]

FEATURE_SETS: tuple[FeatureSet, ...] = get_args(FeatureSet)
PREDICTORS: tuple[PredictorName, ...] = get_args(PredictorName)


class BenchmarkConfig(Section):
    """The settings of one benchmark."""

    datasets: dict[str, RetrainConfig]
    """Name -> configuration of its retrain job, whose encoders are trained and compared."""
    features: tuple[FeatureSet, ...] = FEATURE_SETS
    """Feature sets that the predictors are trained on."""
    predictors: tuple[PredictorName, ...] = PREDICTORS
    labels: tuple[Positive | Literal["all"], ...] = ()
    """Numbers of labelled rows. If given, the benchmark draws accuracy or R2 over them instead of comparing predictors:
    trees and a linear model on raw columns, a linear model on the embedding, trees on both. The encoder of each data
    set (of its own kind) is trained once, on all training rows, without any label."""
    seeds: Positive = 5
    """Runs of every predictor, or draws of labelled rows. All runs use the same encoder."""
    seed: NonNegative = 0
    """The first of the seeds."""
    protocol: Protocol = "inductive"
    """inductive: preprocessing and encoders see training rows only; paper: all rows, never their labels."""
    runner: Annotated[Runner, OPERATIONAL] = "processes"
    """Where cells are computed: processes or threads of this machine, or a Dask cluster."""
    workers: Annotated[NonNegative, OPERATIONAL] = 0
    """Cells computed in parallel, one thread each; 0: one per core."""
    dask_address: Annotated[str | None, OPERATIONAL] = None
    """Scheduler of a running Dask cluster (runner: dask). If not given, a local cluster is started."""
    training: PredictorSettings = PredictorSettings()
    tracking: Annotated[TrackingSection, OPERATIONAL] = TrackingSection()
