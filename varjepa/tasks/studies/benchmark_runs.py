"""The benchmark's encoders, and its runs in the tracking store."""

import json
import math
import time

from varjepa.config import BenchmarkConfig, FeatureSet, Protocol, RetrainConfig, Selection, as_flat
from varjepa.config.learning import ADAMW
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.studies.benchmark_cell import Cell
from varjepa.tasks.tracking.runs import nested_run
from varjepa.tasks.tracking.store import client_of


def encoder_config(job: RetrainConfig, features: FeatureSet, selection: Selection, number: int) -> RetrainConfig:
    """The job with the encoder of a feature set, by its number among those that differ in their seed only.

    By `probe` every kind trains all epochs and keeps the one with the best probe: equal steps, an equal choice. T-JEPA
    is trained by AdamW, also where another kind has Muon, under which its embeddings are worse.
    """
    kind = "var_t_jepa" if features == "untrained" else features
    training = job.training.model_copy(update={"seed": job.training.seed + number})
    if selection == "probe":
        equal = {"selection": "probe", "tie_share": 0.0, "patience": training.max_epochs}
        training = training.model_copy(update=equal)
    elif job.model.kind != kind:
        # A selection that was configured for one kind (an ELBO, say) may not exist for another.
        training = training.model_copy(update={"selection": "auto"})
    if kind == "t_jepa" and training.optimizer == "muon":
        training = training.model_copy(update=ADAMW)
    return job.model_copy(update={"model": job.model.model_copy(update={"kind": kind}), "training": training})


def without_labels(job: RetrainConfig) -> RetrainConfig:
    """The job with an encoder whose epoch is selected without labels, too: by ELBO, or by rank where there is none."""
    selection = "elbo" if job.model.is_variational else "rankme"
    return job.model_copy(update={"training": job.training.model_copy(update={"selection": selection})})


def under_protocol(job: RetrainConfig, protocol: Protocol, number: int = 0) -> RetrainConfig:
    """The job with the protocol's rows for preprocessing and pretraining; calibration rows join the training part.

    Args:
        job: of a data set.
        protocol: which rows they see.
        number: of the split, from 0; each has a seed of its own.
    """
    split = job.data.split
    # The benchmark certifies nothing, so calibration rows would be wasted.
    shares = {"train": split.train + split.calibration, "calibration": 0.0}
    split = split.model_copy(
        update={"seen": "all" if protocol == "paper" else "train"} | shares | {"seed": split.seed + number}
    )
    return job.model_copy(update={"data": job.data.model_copy(update={"split": split})})


@retried_task("log benchmark")
def log_benchmark(run_id: str, config: BenchmarkConfig) -> None:
    """Writes the settings of the benchmark as parameters, and those of every data set as a file."""
    from mlflow.entities import Param

    client = client_of(config.tracking)
    own = as_flat(config) | {"datasets": ",".join(config.datasets)}
    client.log_batch(run_id, params=[Param(name, str(value)[:6000]) for name, value in own.items()])
    client.log_dict(run_id, config.model_dump(mode="json"), "config.json")


@retried_task("log cell", task_run_name="log {cell.name}")
def log_cell(parent_id: str, config: BenchmarkConfig, cell: Cell) -> None:
    """Makes one nested run per cell, with one value per seed as steps of each metric."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    facts = {"dataset": cell.dataset, "features": cell.features, "predictor": cell.predictor,
             "split": str(cell.split), "encoder": str(cell.encoder), "drawn": json.dumps(cell.drawn)}  # fmt: skip
    values = {**cell.values(), "best_epoch": [float(epoch) for epoch in cell.best_epochs]}
    metrics = [
        Metric(key, value, now, config.seed + number)
        for key, per_seed in values.items()
        for number, value in enumerate(per_seed)
        if math.isfinite(value)  # without errors their ranking is undefined
    ]
    with nested_run(config.tracking, parent_id, step="benchmark", name=cell.name) as run_id:
        client = client_of(config.tracking)
        client.log_batch(run_id, params=[Param(key, value) for key, value in facts.items()], metrics=metrics)
