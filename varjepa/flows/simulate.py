"""The simulation study as a flow: ten variants and deterministic JEPA, with all runs nested under one parent."""

import time
from statistics import mean
from typing import Any

from prefect.task_runners import ThreadPoolTaskRunner

from varjepa.config import StudyConfig
from varjepa.machine import cores
from varjepa.tasks.answers.studies import SimulationAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import one_thread_each
from varjepa.tasks.steps.time_left import collected
from varjepa.tasks.studies.simulation import JEPA, Simulated, log_runs, log_study, train_model
from varjepa.tasks.studies.simulation_report import StudyReport, report_study
from varjepa.tasks.tracking.runs import log_artifacts, opened_run

RUNNER: Any = ThreadPoolTaskRunner(max_workers=cores())
"""Trains one model per core at a time."""


@flow(name="simulate", flow_run_name="simulate {config.runs} runs", validate_parameters=True,
      task_runner=RUNNER)  # fmt: skip
def simulate(config: StudyConfig) -> SimulationAnswer:
    """Trains every model of the study in all its runs; returns the object that `varjepa simulate --json` prints."""
    started = time.perf_counter()
    name = ",".join(config.variants)
    with claimed(), lineage("simulate", name), opened_run(config.tracking, command="simulate", name=name) as run_id:
        log_study(run_id, config)
        # Parallel over models; within a model, its runs are one batched computation.
        with one_thread_each():
            futures = [train_model.submit(config, name) for name in (*config.variants, *JEPA)]
            simulated: list[Simulated] = collected(futures, "models")
        for model in simulated:
            log_runs(run_id, config, model)
        report = report_study(config, simulated)
        log_artifacts(run_id, config.tracking, {"": report.folder})
        return answer(run_id, simulated, report, time.perf_counter() - started)


def answer(run_id: str, simulated: list[Simulated], report: StudyReport, seconds: float) -> SimulationAnswer:
    """The object that `simulate --json` prints."""
    steps = {model.name: round(model.seconds, 2) for model in simulated}
    return {
        "run_id": run_id,
        "models": {model.name: {name: mean(values) for name, values in model.final().items()} for model in simulated},
        "table": [cell._asdict() | {"difference": cell.difference} for cell in report.comparisons],
        "report": str(report.page),
        "seconds": steps | {"total": round(seconds, 2)},
    }
