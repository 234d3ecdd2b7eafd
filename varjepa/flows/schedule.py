"""The retrain flow as a Prefect deployment: on a schedule, one run at a time, skipped if nothing has changed."""

import re
from typing import Any, Literal

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.flows import EntrypointType
from prefect.schedules import Schedule
from prefect.states import Completed

from varjepa.config import RetrainConfig
from varjepa.flows.retrain import retrain_snapshot
from varjepa.flows.stopwatch import Stopwatch
from varjepa.tasks.cleaning.clean import clean_after
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.notify.events import failures_told, tell_skipped
from varjepa.tasks.notify.lookout import lookout
from varjepa.tasks.notify.send import require_addresses
from varjepa.tasks.notify.silence import tell_silence
from varjepa.tasks.orchestration.flow_runs import claim_turn, claimed, end_abandoned, labels
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.pretrain import require_machine
from varjepa.tasks.retrain.unchanged import job_digest, last_retrain, skip
from varjepa.tasks.signing.keys import require_keys
from varjepa.tasks.sources.run_day import with_run_date
from varjepa.tasks.steps.reuse import own_results_known
from varjepa.tasks.work_store.opened import model_turn

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
    name = config.registry.name
    with (
        claimed(), own_results_known(), lineage("retrain", name), failures_told(config),
        model_turn(config, wait=overlap == "wait") as locked,
    ):  # fmt: skip
        tell_silence(config)  # of the time before this run, which is the first to notice if the machine was off
        if not locked:
            reason = f"another run for the model {name} is in progress"
            tell_skipped(config, reason)
            return Completed(name="Skipped", message=reason, data={"skipped": True, "reason": reason})
        require_keys(config.signing)
        require_machine(config)
        claim_turn()
        watch = Stopwatch()
        with watch("ingest"):
            snapshot = ingest(config)
        same = last_retrain(config, job_digest(config, snapshot)) if unchanged == "skip" else None
        if same is None:
            result: Any = retrain_snapshot(config, snapshot, watch)
        else:
            skipped = skip(config, snapshot, same)
            tell_skipped(config, same.reason, skipped["run_id"])
            result = Completed(name="Skipped", message=same.reason, data=skipped)
        clean_after(config)
        return result


def serve(config: RetrainConfig, schedule: Schedule, *, unchanged: Unchanged, overlap: Overlap) -> None:
    """Registers the deployment of a model and runs it on schedule until interrupted. Then the schedule is paused."""
    parameters = {
        "config": config.model_dump(mode="json"),
        "unchanged": unchanged,
        "overlap": overlap,
        "timezone": schedule.timezone,
    }
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW if overlap == "skip" else ConcurrencyLimitStrategy.ENQUEUE
    description = f"Retrains the registered model {config.registry.name}."
    serve_flow(scheduled_retrain, config, schedule, parameters, description=description, strategy=strategy)


def serve_flow(
    served: Any, config: RetrainConfig, schedule: Schedule, parameters: dict[str, Any], *, description: str,
    strategy: ConcurrencyLimitStrategy = ConcurrencyLimitStrategy.CANCEL_NEW, registers: bool = True,
) -> None:  # fmt: skip
    """Serves a flow for one registered model, one run at a time.

    Args:
        served: the flow.
        config: of the job.
        schedule: when it runs.
        parameters: of each run, plain data.
        description: of the deployment.
        strategy: what becomes of a run that comes while another one is in progress.
        registers: whether a run may register a version, for which it may need a key.
    """
    require_addresses(config.notify)
    require_keys(config.signing, sign=registers)
    end_abandoned()
    with lookout(config):
        served.serve(
            name=deployment_name(config),
            schedule=schedule,
            global_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=strategy),
            parameters=parameters,
            description=description,
            tags=["varjepa", *labels()],
            print_starting_message=False,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )


def deployment_name(config: RetrainConfig) -> str:
    """The name of the deployment: that of the registered model, without characters that Prefect refuses."""
    return re.sub(r"[&<>]", "-", config.registry.name)
