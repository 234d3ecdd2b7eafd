"""The monitoring flow as a Prefect deployment: compares new rows with the champion on a schedule, and acts on drift."""

import time
from typing import Any

from prefect.schedules import Schedule
from prefect.states import Completed

from varjepa.config import RetrainConfig
from varjepa.flows.monitor import monitor_rows
from varjepa.flows.retrain import retrain
from varjepa.flows.schedule import serve_flow
from varjepa.tasks.drift.watching import next_look
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.notify.events import failures_told
from varjepa.tasks.notify.silence import tell_silence
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.sources.run_day import on_day, planned_day, zone_of
from varjepa.tasks.sources.watched import depends_on_day, require_rows
from varjepa.tasks.tracking.runs import log_results


@flow(name="watch", flow_run_name="watch {config.registry.name}", validate_parameters=True)
def watch(config: RetrainConfig, timezone: str | None = None) -> Any:
    """Compares new rows with the champion, unless these rows were compared with it before.

    Args:
        config: the job that makes the model, with the keys of a config file.
        timezone: of the schedule, for `{{ run_date }}`; None means UTC.
    """
    started, day = time.perf_counter(), planned_day(zone_of(timezone))
    of_day = day if depends_on_day(config) else None
    config = on_day(config, day)
    with claimed(), lineage("watch", config.registry.name), failures_told(config):
        silence, look = tell_silence(config), next_look(config, of_day)
        if isinstance(look, str):
            data = {"skipped": True, "reason": look, "silence": silence}
            return Completed(name="Skipped", message=look, data=data)
        result = monitor_rows(look.question, None, None, config.notify, started)
        retrained = retrain(config) if config.watch.retrain and result["alarm"] else None
        # Only now: what failed in between is done again by the next watch, which otherwise would find nothing new.
        log_results(result["run_id"], config.tracking, {}, look.tags)
        return {**result, "retrained": retrained, "silence": silence}


def serve(config: RetrainConfig, schedule: Schedule) -> None:
    """Registers the deployment of a watch and runs it on schedule until interrupted. Then the schedule is paused."""
    require_rows(config)
    parameters = {"config": config.model_dump(mode="json"), "timezone": schedule.timezone}
    description = f"Watches {config.registry.name} for drift."
    serve_flow(watch, config, schedule, parameters, description=description, registers=config.watch.retrain)
