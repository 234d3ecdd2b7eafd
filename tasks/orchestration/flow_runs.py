"""Whose a Prefect flow run is; flow runs whose process was killed do not stay "running"."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import tags
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext, TagsContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings, temporary_settings
from prefect.states import Crashed

from tasks.processes.owner import ASKED, HOST, OWNER, PROCESS, abandoned, end_children_of_the_dead, owner_tags, waiting
from tasks.steps.log import log
from tasks.tracking.store import client_for


def labels() -> list[str]:
    """Tags of a flow run that say whose it is; Prefect's tags are words."""
    return [f"{name}={value}" for name, value in owner_tags().items()]


@contextmanager
def owned() -> Iterator[None]:
    """Around a command: its flow run and its temporary server say from their first moment whose they are.

    A tracking run that has ended says until the end of the block that nobody knows its result yet.
    """
    os.environ[OWNER] = owner_tags()[PROCESS]
    opened: list[tuple[str, str]] = []
    token = waiting.set(opened)
    try:
        # Heartbeats are for others on the server, and a flow's end waits up to a second for the thread that sends them.
        unheard = {} if get_current_settings().api.url else {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        with tags(*labels()), temporary_settings(unheard):
            yield
        for uri, run_id in opened:
            client_for(uri).delete_tag(run_id, ASKED)
    finally:
        waiting.reset(token)


@contextmanager
def claimed() -> Iterator[None]:
    """Inside a flow: says whose its run is where nobody did, and ends what killed processes left."""
    context = FlowRunContext.get()
    if log.level == logging.NOTSET:  # a run of a deployment, which no command line has set up
        log.setLevel(logging.INFO)
    os.environ[OWNER] = owner_tags()[PROCESS]
    end_children_of_the_dead()
    if context is None or context.flow_run is None:
        yield
        return
    with get_client(sync_client=True) as client:
        if not set(labels()) <= set(context.flow_run.tags):
            client.update_flow_run(context.flow_run.id, tags=[*context.flow_run.tags, *labels()])
        _end_abandoned(client, context.flow_run)
    with TagsContext(current_tags=set()):  # with tags, every task would ask for limits on them
        yield


def _end_abandoned(client: SyncPrefectClient, own: FlowRun) -> None:
    here = FlowRunFilter.model_validate({
        "state": {"type": {"any_": [StateType.RUNNING]}}, "tags": {"all_": [f"{HOST}={socket.gethostname()}"]},
    })  # fmt: skip
    for run in client.read_flow_runs(flow_run_filter=here):
        said = dict(tag.split("=", 1) for tag in run.tags if tag.startswith((HOST, PROCESS)))
        if run.id != own.id and abandoned(said):
            client.set_flow_run_state(run.id, Crashed(message="The process of this run was killed."), force=True)
            log.info("Prefect's run %s was left by a killed process: crashed", run.name)
