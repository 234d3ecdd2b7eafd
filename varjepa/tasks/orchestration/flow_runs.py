"""Owners of Prefect flow runs. Flow runs of killed processes are set to Crashed instead of staying "running"."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from prefect import tags
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext, TagsContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings
from prefect.states import Crashed

from varjepa.tasks.processes.owner import (
    ASKED,
    HOST,
    LEASE,
    OWNER,
    PROCESS,
    abandoned,
    end_children_of_the_dead,
    owner_tags,
    turn,
    waiting,
)
from varjepa.tasks.steps.files import full_disk_in_words
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.store import client_for

STARTUP = timedelta(minutes=1)
"""A run of a schedule is pending for at most this long while its process starts."""


def labels() -> list[str]:
    """Owner tags of a flow run, each as one word, because Prefect's tags have no values."""
    return [f"{name}={value}" for name, value in owner_tags().items()]


@contextmanager
def owned() -> Iterator[None]:
    """Around a command: marks its flow run and its temporary server with their owner from the start.

    A tracking run keeps the tag `ASKED` until the block ends, that is, until the command has printed its result.
    """
    os.environ[OWNER] = owner_tags()[PROCESS]
    opened: list[tuple[str, str]] = []
    token = waiting.set(opened)
    try:
        # Heartbeats only matter on a shared server. At the end of a flow, their thread takes up to a second to stop.
        without_heartbeats = {} if get_current_settings().api.url else {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with tags(*labels()), temporary_settings(without_heartbeats):
            yield
        for uri, run_id in opened:
            client_for(uri).delete_tag(run_id, ASKED)
    finally:
        waiting.reset(token)


@contextmanager
def claimed() -> Iterator[None]:
    """Inside a flow: marks the run with its owner, and ends what killed processes left."""
    context = FlowRunContext.get()
    if log.level == logging.NOTSET:  # a deployment run, for which no command line has set up logging
        log.setLevel(logging.INFO)
    os.environ[OWNER] = owner_tags()[PROCESS]
    end_children_of_the_dead()
    if context is None or context.flow_run is None:
        with full_disk_in_words():
            yield
        return
    with get_client(sync_client=True) as client:
        if not set(labels()) <= set(context.flow_run.tags):
            # Those of the command that serves the schedule, if any, give way to those of this process.
            others = [tag for tag in context.flow_run.tags if not tag.startswith((HOST, PROCESS))]
            client.update_flow_run(context.flow_run.id, tags=[*others, *labels()])
        _end_abandoned(client, context.flow_run)
    # With tags, every task would request concurrency limits for them.
    with full_disk_in_words(), TagsContext(current_tags=set()):
        yield


def claim_turn() -> None:
    """Marks the flow run with its turn to make a model, and ends those of lost machines that had the turn before."""
    own, context = turn.get(), FlowRunContext.get()
    if own is None or context is None or context.flow_run is None:
        return
    tag, this = f"{LEASE}={own.name}", context.flow_run.id
    with get_client(sync_client=True) as client:
        client.update_flow_run(this, tags=[*client.read_flow_run(this).tags, tag])
        for run in client.read_flow_runs(flow_run_filter=_in_progress(tag)):
            if run.id != this:
                client.set_flow_run_state(run.id, Crashed(message="The machine of this run was lost."), force=True)
                log.info("set Prefect's run %s to Crashed, because its machine was lost", run.name)


def end_abandoned() -> None:
    """Sets flow runs of killed processes of this host to Crashed: one that is pending would block its schedule."""
    with get_client(sync_client=True) as client:
        _end_abandoned(client, None)


def _end_abandoned(client: SyncPrefectClient, own: FlowRun | None) -> None:
    for run in client.read_flow_runs(flow_run_filter=_in_progress(f"{HOST}={socket.gethostname()}")):
        owner = dict(tag.split("=", 1) for tag in run.tags if tag.startswith((HOST, PROCESS)))
        if (own is None or run.id != own.id) and abandoned(owner) and not _may_start_soon(run):
            client.set_flow_run_state(run.id, Crashed(message="The process of this run was killed."), force=True)
            log.info("set Prefect's run %s to Crashed, because its process was killed", run.name)


def _in_progress(tag: str) -> FlowRunFilter:
    """Flow runs with this tag that have not ended."""
    return FlowRunFilter.model_validate({
        "state": {"type": {"any_": [StateType.PENDING, StateType.RUNNING]}}, "tags": {"all_": [tag]},
    })  # fmt: skip


def _may_start_soon(run: FlowRun) -> bool:
    """Whether a run of a schedule has been pending for so short a time that another command may be starting it."""
    state = run.state
    if run.deployment_id is None or state is None or state.type is not StateType.PENDING:
        return False
    return datetime.now(UTC) - state.timestamp < STARTUP
