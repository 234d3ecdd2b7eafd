"""Runs that killed processes left: the same job goes on with its own, the others are ended."""

import socket
from typing import TYPE_CHECKING

from tasks.processes.owner import ASKED, HOST, abandoned, owner_tags
from tasks.steps.log import log

if TYPE_CHECKING:
    from mlflow import MlflowClient

JOB = "varjepa.job"
"""Tag of a run: stands for settings, data and code (see `tasks.retrain.unchanged`)."""


def taken_over(client: "MlflowClient", experiment: str, job: str | None) -> str | None:
    """Ends runs whose process of this host is gone, but for the newest one of this job, which this process takes over.

    Runs of living processes and of other hosts are left alone. The caller holds the lock of the store's runs.

    Args:
        client: of the store.
        experiment: id of the experiment to look at.
        job: that this process is about to do; None takes nothing over.

    Returns:
        The id of the run to go on with, or None.
    """
    here = f"tags.`{HOST}` = '{socket.gethostname()}'"
    found = client.search_runs([experiment], f"attributes.status = 'RUNNING' and {here}", max_results=1000)
    left = [run for run in found if abandoned(run.data.tags)]
    same = next((run for run in left if job is not None and run.data.tags.get(JOB) == job), None)
    for run in left:
        if run is not same:
            client.set_tag(run.info.run_id, "varjepa.failure", "The process that made this run was killed.")
            client.set_terminated(run.info.run_id, "KILLED")
            log.info("ended the run %s, whose process was killed", run.info.run_id)
    if same is None and job is not None:
        # Killed between the end of the run and the answer of the command: nobody knows that it was finished.
        ended = f"attributes.status = 'FINISHED' and {here} and tags.`{JOB}` = '{job}' and tags.`{ASKED}` = 'yes'"
        same = next((run for run in client.search_runs([experiment], ended) if abandoned(run.data.tags)), None)
    if same is None:
        return None
    client.update_run(same.info.run_id, status="RUNNING")
    for name, value in owner_tags().items():
        client.set_tag(same.info.run_id, name, value)
    log.info("going on with the run %s, whose process was killed", same.info.run_id)
    return same.info.run_id
