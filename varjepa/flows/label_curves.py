"""The benchmark of few labels as a flow: one encoder per data set, all numbers of labels, one report."""

import time

from prefect.futures import PrefectFuture

from varjepa.config import BenchmarkConfig
from varjepa.tasks.answers.studies import LabelCurvesAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import one_thread_each, shared_server, task_runner
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.retrain.pretrain import pretrain
from varjepa.tasks.retrain.validate import check_contract
from varjepa.tasks.steps.time_left import collected
from varjepa.tasks.studies.benchmark_runs import log_benchmark, under_protocol, without_labels
from varjepa.tasks.studies.embed_rows import embed_rows
from varjepa.tasks.studies.label_cell import LabelCell, LabelPlan, label_counts, run_label_cell
from varjepa.tasks.studies.label_report import LabelReport, report_labels
from varjepa.tasks.tracking.runs import log_artifacts, nested_run, opened_run


def label_curves(config: BenchmarkConfig) -> LabelCurvesAnswer:
    """Accuracy or R2 over the number of labelled rows: the object that `varjepa benchmark --labels --json` prints."""
    runner = task_runner(config.runner, config.workers, config.dask_address)
    with shared_server(config.runner, config.dask_address):
        return curves.with_options(task_runner=runner)(config)


@flow(name="label curves", flow_run_name="benchmark of few labels", validate_parameters=True)
def curves(config: BenchmarkConfig) -> LabelCurvesAnswer:
    """Computes the missing encoders and cells and writes the report. A killed run is resumed with the missing cells."""
    started = time.perf_counter()
    name = ",".join(config.datasets)
    with claimed(), lineage("benchmark", name), opened_run(config.tracking, command="benchmark", name=name) as run_id:
        log_benchmark(run_id, config)
        plans = [plan for name in config.datasets for plan in _plans(config, name, run_id)]
        encoded = time.perf_counter() - started
        seeds = list(range(config.seed, config.seed + config.seeds))
        with one_thread_each():
            # Those of most labels take longest and start first.
            futures: dict[tuple[str, int], PrefectFuture[LabelCell]] = {
                (plan.dataset, plan.labels): run_label_cell.submit(plan, seeds)
                for plan in sorted(plans, key=lambda plan: -plan.labels)
            }
            cells = collected([futures[plan.dataset, plan.labels] for plan in plans], "cells")
        report = report_labels(config, cells)
        log_artifacts(run_id, config.tracking, {"": report.folder})
        seconds = {"encoders": encoded, "total": time.perf_counter() - started}
        return answer(run_id, report, seconds)


def _plans(config: BenchmarkConfig, name: str, run_id: str) -> list[LabelPlan]:
    """Prepares one table and its encoder; returns one plan per number of labels."""
    job = without_labels(under_protocol(config.datasets[name], config.protocol))
    snapshot = ingest(job)
    clean, job = check_contract(snapshot, job).clean, snapshot.told(job)
    prepared = preprocess(clean, job)
    job = prepared.sized(job)
    counts = label_counts(prepared, config.labels)
    with nested_run(job.tracking, run_id, step="encoder", name=f"{name} {job.model.kind}") as encoder_id:
        embedded = embed_rows(prepared, pretrain(prepared, job, encoder_id), job)
    return [LabelPlan(name, count, prepared, embedded) for count in counts]


def answer(run_id: str, report: LabelReport, seconds: dict[str, float]) -> LabelCurvesAnswer:
    """The object that `benchmark --labels --json` prints."""
    return {
        "run_id": run_id,
        "points": [point._asdict() for point in report.points],
        "gaps": [gap._asdict() | gap.difference._asdict() for gap in report.gaps],
        "verdicts": {f"{dataset}, {labels} labels": words for (dataset, labels), words in report.verdicts.items()},
        "report": str(report.page),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
