"""The simulation study: one step per model, all runs of a model in one batched computation."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from varjepa.config import StudyConfig, as_flat, result_settings
from varjepa.study.jepa import Target
from varjepa.study.pair_trainer import Epoch, JEPATrainer, VariantTrainer, Worlds
from varjepa.study.variants import VARIANTS
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import reuse, step_folder
from varjepa.tasks.tracking.runs import nested_run
from varjepa.tasks.tracking.store import client_of

JEPA: dict[str, Target] = {f"JEPA {target}": target for target in get_args(Target)}
"""Deterministic JEPA for comparison: without any heuristic, with stop-gradient, with a moving average."""


@dataclass(frozen=True)
class Simulated:
    """One model of the study, trained in all its runs.

    Attributes:
        name: a variant, or a key of `JEPA`.
        file: JSON, metrics per epoch, name -> one value per run.
        seconds: duration of training and diagnostics; a reused model keeps it.
    """

    name: str
    file: Path
    seconds: float

    def history(self) -> list[Epoch]:
        """Metrics per epoch."""
        return json.loads(self.file.read_text(encoding="utf-8"))

    def final(self) -> dict[str, list[float]]:
        """Metrics after the last epoch, one value per run."""
        return self.history()[-1]

    def curves(self) -> dict[str, list[float]]:
        """Means over runs per epoch; probes have fewer points."""
        history = self.history()
        # Named by the last epoch, which has every metric; earlier epochs may lack those of probes.
        return {
            name: [sum(epoch[name]) / len(epoch[name]) for epoch in history if name in epoch] for name in history[-1]
        }


@task(name="simulate", task_run_name="simulate {name}")
def train_model(config: StudyConfig, name: str) -> Simulated:
    """Trains all runs of one model; an interrupted study resumes with the missing models."""
    settings = result_settings(config, without=("variants",))  # each variant is a step of its own
    folder = step_folder("simulate", name, settings, code=__name__)
    done = reuse(folder, Simulated, lambda: _train(config, name, folder))
    log.info("%s: %d runs of %d epochs in %.1f s", name, config.runs, config.epochs, done.seconds)
    return done


def _train(config: StudyConfig, name: str, folder: Path) -> Simulated:
    started, worlds = time.perf_counter(), Worlds(config=config)
    trainer: VariantTrainer | JEPATrainer
    if name in JEPA:
        trainer = JEPATrainer(target=JEPA[name], worlds=worlds, config=config)
    else:
        trainer = VariantTrainer(variant=name, worlds=worlds, config=config)
    write_text(folder / "history.json", json.dumps(trainer.fit()))
    return Simulated(name, folder / "history.json", time.perf_counter() - started)


@task(name="log study")
def log_study(parent_id: str, config: StudyConfig) -> None:
    """Writes the settings of the study to its run."""
    from mlflow.entities import Param

    parameters = [Param(name, str(value)) for name, value in as_flat(config).items()]
    client_of(config.tracking).log_batch(parent_id, params=parameters)


@task(name="log runs", task_run_name="log {simulated.name}")
def log_runs(parent_id: str, config: StudyConfig, simulated: Simulated) -> None:
    """Makes one nested run per seed, with all diagnostics as curves over epochs."""
    from mlflow.entities import Metric, Param

    client, history, now = client_of(config.tracking), simulated.history(), int(time.time() * 1000)
    objective = VARIANTS[simulated.name].objective if simulated.name in VARIANTS else "squared error"
    for number in range(config.runs):
        seed = config.seed + number
        facts = {"model": simulated.name, "objective": objective, "seed": str(seed)}
        # Steps from 1, as epochs are counted for people.
        metrics = [
            Metric(name, values[number], now, step)
            for step, epoch in enumerate(history, start=1)
            for name, values in epoch.items()
        ]
        with nested_run(config.tracking, parent_id, step="simulate", name=f"{simulated.name} seed {seed}") as run_id:
            client.log_batch(run_id, params=[Param(name, value) for name, value in facts.items()])
            for start in range(0, len(metrics), 1000):  # MLflow accepts 1,000 metrics per call
                client.log_batch(run_id, metrics=metrics[start : start + 1000])
