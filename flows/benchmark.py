"""The benchmark as a flow: it trains the encoders, computes all cells on the chosen runner, and writes one report."""

import time

from prefect import flow
from prefect.futures import PrefectFuture

from tasks.answers import BenchmarkAnswer
from tasks.orchestration.flow_runs import claimed
from tasks.orchestration.runners import one_thread_each, shared_server, task_runner
from tasks.retrain.ingest import ingest
from tasks.retrain.preprocess import Prepared, preprocess
from tasks.retrain.pretrain import pretrain
from tasks.retrain.validate import check_contract
from tasks.studies.benchmark_cell import Cell, Plan, run_cell
from tasks.studies.benchmark_report import BenchmarkReport, report_benchmark
from tasks.studies.benchmark_runs import encoder_config, log_benchmark, log_cell, under_protocol
from tasks.studies.embed_rows import Embedded, embed_rows
from tasks.tracking.runs import log_artifacts, nested_run, opened_run
from varjepa.config import BenchmarkConfig, RetrainConfig

SLOWEST = ("autoint", "ft_transformer")
"""Predictors whose cells take longest. They start first, so that no worker finishes long after the others."""


def benchmark(config: BenchmarkConfig) -> BenchmarkAnswer:
    """Compares feature sets under predictors: the object that `varjepa benchmark --json` prints."""
    runner = task_runner(config.runner, config.workers, config.dask_address)
    with shared_server(config.runner, config.dask_address):
        return compare.with_options(task_runner=runner)(config)


@flow(name="benchmark", flow_run_name="benchmark {config.protocol}", validate_parameters=True)
def compare(config: BenchmarkConfig) -> BenchmarkAnswer:
    """Computes the missing encoders and cells and writes the report. A killed run is resumed with the missing cells."""
    started = time.perf_counter()
    with claimed(), opened_run(config.tracking, command="benchmark", name=",".join(config.datasets)) as run_id:
        log_benchmark(run_id, config)
        # The encoders first: each serves all predictors of its table.
        plans = [plan for name in config.datasets for plan in _plans(config, name, run_id)]
        encoded = time.perf_counter() - started
        # Then all cells at once, on the chosen runner.
        seeds = list(range(config.seed, config.seed + config.seeds))
        with one_thread_each():
            futures: dict[str, PrefectFuture[Cell]] = {
                plan.name: run_cell.submit(plan, config.training, seeds)
                for plan in sorted(plans, key=lambda plan: plan.predictor not in SLOWEST)
            }
            # Collected in the order of the plans, whatever order they finish in.
            cells = [futures[plan.name].result() for plan in plans]
        # The runs and the report.
        for cell in cells:
            log_cell(run_id, config, cell)
        seconds = {"encoders": encoded, "total": time.perf_counter() - started}
        report = report_benchmark(config, cells)
        log_artifacts(run_id, config.tracking, {"": report.folder})
        return answer(run_id, cells, report, seconds)


def _plans(config: BenchmarkConfig, name: str, run_id: str) -> list[Plan]:
    """Prepares one table and its encoders; returns one plan per cell."""
    job = under_protocol(config.datasets[name], config.protocol)
    snapshot = ingest(job)
    clean, job = check_contract(snapshot, job).clean, snapshot.told(job)
    prepared = preprocess(clean, job)
    plans = []
    for features in config.features:
        embedded = None if features == "raw" else _encoder(encoder_config(job, features), prepared, name, run_id)
        plans += [Plan(name, features, predictor, prepared, embedded) for predictor in config.predictors]
    return plans


def _encoder(job: RetrainConfig, prepared: Prepared, name: str, parent: str) -> Embedded:
    with nested_run(job.tracking, parent, step="encoder", name=f"{name} {job.model.kind}") as run_id:
        return embed_rows(prepared, pretrain(prepared, job, run_id), job)


def answer(run_id: str, cells: list[Cell], report: BenchmarkReport, seconds: dict[str, float]) -> BenchmarkAnswer:
    """The object that `benchmark --json` prints."""
    return {
        "run_id": run_id,
        "cells": [
            {"dataset": cell.dataset, "features": cell.features, "predictor": cell.predictor,
             "metrics": cell.values(), "best_epochs": cell.best_epochs, "seconds": round(cell.seconds, 2)}
            for cell in cells
        ],
        "table": [row._asdict() for row in report.rows],
        "duels": [duel.as_dict() for duel in report.duels],
        "tally": {" against ".join(pair): counts for pair, counts in report.tally.items()},
        "report": str(report.page),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }  # fmt: skip
