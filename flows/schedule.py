"""The retrain flow as a Prefect deployment: on a schedule, one run at a time, skipped if nothing has changed."""

import re
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefect import flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.flows import EntrypointType
from prefect.schedules import Cron, Interval, Schedule
from prefect.states import Completed

from flows.retrain import Stopwatch, retrain_snapshot
from tasks.orchestration.flow_runs import claimed
from tasks.retrain.ingest import ingest
from tasks.retrain.unchanged import job_digest, last_retrain, skip
from tasks.sources.run_day import with_run_date
from tasks.tracking.locks import model_lock
from varjepa.config import RetrainConfig
from varjepa.config.durations import duration
from varjepa.errors import ConfigError

Overlap = Literal["skip", "wait"]
Unchanged = Literal["skip", "retrain"]


@flow(name="scheduled-retrain", flow_run_name="retrain {config.registry.name}", validate_parameters=True)
def scheduled_retrain(
    config: RetrainConfig, unchanged: Unchanged = "skip", overlap: Overlap = "skip", timezone: str | None = None
) -> Any:
    """Retrains a model unless nothing has changed since its last retrain.

    Args:
        config: the job, with the keys of a config file.
        unchanged: what to do if data, settings and code are the same as in the last retrain.
        overlap: what to do while another run for this registered model is in progress.
        timezone: of the schedule, for `{{ run_date }}`; None means UTC.
    """
    config = with_run_date(config, timezone)
    with claimed(), model_lock(config, wait=overlap == "wait") as locked:
        if not locked:
            reason = f"another run for the model {config.registry.name} is in progress"
            return Completed(name="Skipped", message=reason, data={"skipped": True, "reason": reason})
        watch = Stopwatch()
        with watch("ingest"):
            snapshot = ingest(config)
        same = last_retrain(config, job_digest(config, snapshot)) if unchanged == "skip" else None
        if same is None:
            return retrain_snapshot(config, snapshot, watch)
        return Completed(name="Skipped", message=same.reason, data=skip(config, snapshot, same))


def serve(config: RetrainConfig, schedule: Schedule, *, unchanged: Unchanged, overlap: Overlap) -> None:
    """Registers the deployment of a model and runs it on schedule until interrupted. Then the schedule is paused."""
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW if overlap == "skip" else ConcurrencyLimitStrategy.ENQUEUE
    scheduled_retrain.serve(
        name=deployment_name(config),
        schedule=schedule,
        global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=strategy),
        parameters={
            "config": config.model_dump(mode="json"),
            "unchanged": unchanged,
            "overlap": overlap,
            "timezone": schedule.timezone,
        },
        description=f"Retrains the registered model {config.registry.name}.",
        tags=["varjepa"],
        print_starting_message=False,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def deployment_name(config: RetrainConfig) -> str:
    """The name of the deployment: that of the registered model, without characters that Prefect refuses."""
    return re.sub(r"[&<>]", "-", config.registry.name)


def schedule_of(cron: str | None, interval: str | None, timezone: str | None) -> Schedule:
    """The Prefect schedule for these options.

    Args:
        cron: five fields: minute, hour, day of month, month, day of week.
        interval: a duration, such as 1h30m; seconds without a unit (see `varjepa.config.durations`).
        timezone: IANA name; None means UTC.

    Raises:
        ConfigError: both or neither of `cron` and `interval` are given, or one is invalid.

    Examples:
        >>> schedule_of(None, "90m", None).interval
        datetime.timedelta(seconds=5400)
    """
    if (cron is None) == (interval is None):
        raise ConfigError("A schedule needs --cron or --interval.", expected="Expected exactly one of them.")
    try:
        if timezone is not None:
            ZoneInfo(timezone)
        if cron is not None:
            return Cron(cron, timezone=timezone)
        return Interval(duration(interval or ""), timezone=timezone)
    except (ValueError, ZoneInfoNotFoundError) as error:
        option = f'--cron "{cron}"' if cron is not None else f"--interval {interval}"
        raise ConfigError(
            f"{option}{f' in {timezone}' if timezone else ''} is not a valid schedule.",
            expected='Expected, for example, --cron "0 3 * * *" --timezone Europe/Berlin, or --interval 1h.',
        ) from error
