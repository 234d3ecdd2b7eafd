"""The benchmark as a flow: it trains the encoders, computes all cells on the chosen runner, and writes one report."""

import time
from typing import NamedTuple

from prefect.futures import PrefectFuture

from varjepa.config import LIBRARIES, ON_FRAMES, BenchmarkConfig, FeatureSet, RetrainConfig
from varjepa.tasks.answers.studies import BenchmarkAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import one_thread_each, shared_server, task_runner
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import Prepared, preprocess
from varjepa.tasks.retrain.pretrain import pretrain
from varjepa.tasks.retrain.validate import check_contract
from varjepa.tasks.sources.extras import required
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.time_left import collected
from varjepa.tasks.studies.benchmark_cell import Cell, Plan, run_cell
from varjepa.tasks.studies.benchmark_report import BenchmarkReport, report_benchmark
from varjepa.tasks.studies.benchmark_runs import encoder_config, log_benchmark, log_cell, under_protocol
from varjepa.tasks.studies.embed_rows import Embedded, embed_rows
from varjepa.tasks.studies.labelled import labelled_counts
from varjepa.tasks.studies.untrained import untrained
from varjepa.tasks.tracking.runs import log_artifacts, nested_run, opened_run

SLOWEST = ("autoint", "ft_transformer", "tabm", "realmlp")
"""Predictors whose cells take longest. They start first, so that no worker finishes long after the others."""


def benchmark(config: BenchmarkConfig) -> BenchmarkAnswer:
    """Compares feature sets under predictors: the object that `varjepa benchmark --json` prints."""
    for name in config.predictors:
        if name in LIBRARIES:  # before hours of training, not after them
            required(LIBRARIES[name], "field", f'The predictor "{name}"')
    runner = task_runner(config.runner, config.workers, config.dask_address)
    with shared_server(config.runner, config.dask_address):
        return compare.with_options(task_runner=runner)(config)


@flow(name="benchmark", flow_run_name="benchmark {config.protocol}", validate_parameters=True)
def compare(config: BenchmarkConfig) -> BenchmarkAnswer:
    """Computes the missing encoders and cells and writes the report. A killed run is resumed with the missing cells."""
    started = time.perf_counter()
    name = ",".join(config.datasets)
    with claimed(), lineage("benchmark", name), opened_run(config.tracking, command="benchmark", name=name) as run_id:
        log_benchmark(run_id, config)
        # The encoders first: each serves all predictors of its table.
        plans = [plan for name in config.datasets for plan in _plans(config, name, run_id)]
        encoded = time.perf_counter() - started
        # Then all cells at once, on the chosen runner.
        with one_thread_each():
            futures: dict[str, PrefectFuture[Cell]] = {
                plan.name: run_cell.submit(plan, config.training)
                for plan in sorted(plans, key=lambda plan: plan.predictor not in SLOWEST)
            }
            # Collected in the order of the plans, whatever order they finish in.
            cells = collected([futures[plan.name] for plan in plans], "cells")
        # The runs and the report.
        for cell in cells:
            log_cell(run_id, config, cell)
        seconds = {"encoders": encoded, "total": time.perf_counter() - started}
        report = report_benchmark(config, cells)
        log_artifacts(run_id, config.tracking, {"": report.folder})
        return answer(run_id, cells, report, seconds)


class SplitTable(NamedTuple):
    """A table on one of its splits, prepared.

    Attributes:
        name: of the data set.
        split: its number, from 0.
        job: the data set's job with this split.
        prepared: its encoded rows.
    """

    name: str
    split: int
    job: RetrainConfig
    prepared: Prepared


def _plans(config: BenchmarkConfig, name: str, run_id: str) -> list[Plan]:
    """Prepares one table and its encoders, split by split; returns one plan per cell."""
    plans = []
    for split in range(config.splits):
        job = under_protocol(config.datasets[name], config.protocol, split)
        snapshot = ingest(job)
        clean, job = check_contract(snapshot, job).clean, snapshot.told(job)
        prepared = preprocess(clean, job)
        table = SplitTable(name, split, prepared.sized(job), prepared)
        labelled_counts(table.prepared, ("train", "validation", "test"), 1)  # before any encoder is trained
        for features in config.features:
            plans += _feature_plans(config, table, features, run_id)
    return plans


def _feature_plans(config: BenchmarkConfig, table: SplitTable, features: FeatureSet, run_id: str) -> list[Plan]:
    """Trains the encoders of a feature set; the predictors on each of them have seeds and trials of their own.

    Raw features have no encoder, and as many runs: their seeds and trials differ as those of an embedding do. Otherwise
    one search would stand for all runs on raw columns, and its luck would be in no interval.
    """
    plans = []
    for number in range(config.encoder_seeds):
        # No two splits share seeds: what they have in common would be averaged over, and counted as if it were not.
        run = table.split * config.encoder_seeds + number
        embedded = None if features == "raw" else _embedded(config, table, features, run, run_id)
        first = config.seed + run * config.seeds
        seeds = tuple(range(first, first + config.seeds))
        plans += [
            Plan(table.name, features, predictor, table.split, number, table.prepared, embedded, seeds)
            for predictor in config.predictors if embedded is None or predictor not in ON_FRAMES
        ]  # fmt: skip
    return plans


def _embedded(config: BenchmarkConfig, table: SplitTable, features: FeatureSet, run: int, parent: str) -> Embedded:
    """All rows as an encoder embeds them, by its number among those of its kind on all splits."""
    job = encoder_config(table.job, features, config.selection, run)
    number = run % config.encoder_seeds + 1
    log.info("%s, split %d: encoder %d of %s", table.name, table.split + 1, number, features)
    if features == "untrained":
        return embed_rows(table.prepared, untrained(table.prepared, job), job)
    with nested_run(job.tracking, parent, step="encoder", name=f"{table.name} {features}") as run_id:
        return embed_rows(table.prepared, pretrain(table.prepared, job, run_id), job)


def answer(run_id: str, cells: list[Cell], report: BenchmarkReport, seconds: dict[str, float]) -> BenchmarkAnswer:
    """The object that `benchmark --json` prints."""
    return {
        "run_id": run_id,
        "cells": [
            {"dataset": cell.dataset, "features": cell.features, "predictor": cell.predictor, "split": cell.split,
             "encoder": cell.encoder, "metrics": cell.values(), "best_epochs": cell.best_epochs, "drawn": cell.drawn,
             "seconds": round(cell.seconds, 2)}
            for cell in cells
        ],
        "table": [row._asdict() for row in report.rows],
        "duels": [duel.as_dict() for duel in report.duels],
        "tally": {" against ".join(pair): counts for pair, counts in report.tally.items()},
        "report": str(report.page),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }  # fmt: skip
