"""Drift of past days: compares the rows of each day with the champion, and fills the page of the model's life."""

import time
from datetime import date

from varjepa.amounts import share
from varjepa.config import RetrainConfig
from varjepa.errors import DataError
from varjepa.flows.monitor import monitor_rows
from varjepa.tasks.answers.drift import BackfillAnswer, DayAnswer
from varjepa.tasks.drift.watching import next_look
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.sources.run_day import days_between, on_day
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.runs import log_results
from varjepa.tasks.tracking.uris import tracking_uri


@flow(name="backfill", flow_run_name="backfill {config.registry.name}", validate_parameters=True)
def backfill(config: RetrainConfig, first: date, last: date) -> BackfillAnswer:
    """Compares the rows of every day with the champion; days that were compared with it before are left out.

    Nobody gets messages about days that are over, and no retrain starts. A day whose rows cannot be read does not stop
    the others.

    Args:
        config: the job that makes the model; `{{ run_date }}` chooses the rows of a day.
        first: oldest day.
        last: newest day.

    Raises:
        ConfigError: see `days_between`.
        ModelError: the champion cannot be read.
    """
    started = time.perf_counter()
    with claimed(), lineage("backfill", config.registry.name):
        days = [_compared(on_day(config, day), day) for day in days_between(first, last)]
        keep_life(config.registry.name, tracking_uri(config.tracking))
    return {"name": config.registry.name, "days": days, "seconds": round(time.perf_counter() - started, 2)}


def _compared(config: RetrainConfig, day: date) -> DayAnswer:
    answer: DayAnswer = {"day": day.isoformat(), "state": "failed", "reason": "", "run_id": None, "rows": 0,
                         "score": None, "alarm": False}  # fmt: skip
    try:
        look = next_look(config, day, backfill=True)
        if isinstance(look, str):
            return {**answer, "state": "skipped", "reason": look}
        result = monitor_rows(look.question, None, None, (), time.perf_counter(), keep=False)
    except DataError as error:
        log.warning("%s: %s", day, error)
        return {**answer, "reason": str(error)}
    log_results(result["run_id"], config.tracking, {}, look.tags)
    log.info("%s: %s of %s rows differ", day, share(result["score"]), f"{result['rows']:,}")
    return {**answer, "state": "compared", "run_id": result["run_id"], "rows": result["rows"],
            "score": result["score"], "alarm": result["alarm"]}  # fmt: skip
