"""Runs of killed processes: the run of the same job is resumed, the others are ended."""

import socket
from typing import TYPE_CHECKING

from varjepa.tasks.processes.owner import ASKED, HOST, LEASE, PROCESS, abandoned, owner_tags, turn
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.headlines import VERDICT

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

JOB = "varjepa.job"
"""Tag of a run: a digest of settings, data and code (see `varjepa.tasks.retrain.unchanged`)."""

KILL_TOLD = "varjepa.killed_told"
"""Tag of a run: the process that was killed, once people were told of it (see `varjepa.tasks.notify.killed`)."""

FAILURE = "varjepa.failure"
"""Tag of a run: why it did not end well."""

WAS_KILLED = "The process that made this run was killed."

UNTOLD = "varjepa.untold"
"""Tag of a run that was ended because its process was killed, as long as people were not told of it."""


def taken_over(client: "MlflowClient", experiment: str, job: str | None) -> str | None:
    """Ends the runs of killed processes of this host, except the newest one of this job, which is resumed.

    Those of another host, too, if this process has succeeded to its turn in a work store. Other runs of other hosts,
    and those of living processes, are left alone. The caller must hold the lock of the store's runs.

    Args:
        client: of the store.
        experiment: id of the experiment to search.
        job: digest of the job of this process; None resumes nothing.

    Returns:
        The id of the run to resume, or None.
    """
    killed = _abandoned(client, experiment, "attributes.status = 'RUNNING'")
    same = next((run for run in killed if job is not None and run.data.tags.get(JOB) == job), None)
    for run in killed:
        if run is not same:
            client.set_tag(run.info.run_id, FAILURE, WAS_KILLED)
            if VERDICT in run.data.tags:
                client.set_tag(run.info.run_id, VERDICT, "interrupted")
            if run.data.tags.get(KILL_TOLD) != run.data.tags[PROCESS]:
                client.set_tag(run.info.run_id, UNTOLD, "yes")
            client.set_terminated(run.info.run_id, "KILLED")
            log.info("ended the run %s, whose process was killed", run.info.run_id)
    if same is None and job is not None:
        same = _cut_off(client, experiment, job)
    if same is None:
        return None
    client.update_run(same.info.run_id, status="RUNNING")
    if FAILURE in same.data.tags:
        client.delete_tag(same.info.run_id, FAILURE)
    if VERDICT in same.data.tags:
        client.set_tag(same.info.run_id, VERDICT, "in progress")
    for name, value in owner_tags().items():
        client.set_tag(same.info.run_id, name, value)
    log.info("resuming the run %s, whose process was killed", same.info.run_id)
    return same.info.run_id


def _cut_off(client: "MlflowClient", experiment: str, job: str) -> "Run | None":
    """The last run of a job, if its process was killed before the user had an answer.

    Another command may have ended the run, or it had ended, but the command had not printed its result.
    """
    of_this_job = f"tags.`{JOB}` = '{job}'"
    last = client.search_runs([experiment], of_this_job, max_results=1, order_by=["attributes.start_time DESC"])
    for run in _abandoned(client, experiment, of_this_job)[:1]:
        status, tags = run.info.status, run.data.tags
        unseen = (status, tags.get(ASKED)) == ("FINISHED", "yes")
        if run.info.run_id == last[0].info.run_id and (unseen or (status, tags.get(FAILURE)) == ("KILLED", WAS_KILLED)):
            return run
    return None


def _abandoned(client: "MlflowClient", experiment: str, which: str) -> "list[Run]":
    """The runs whose process was killed on this host, or has lost its turn to this process; the newest first."""
    owners = [f"tags.`{HOST}` = '{socket.gethostname()}'"]
    if (own := turn.get()) is not None:
        owners.append(f"tags.`{LEASE}` LIKE '{own.name}@%'")
    found = [client.search_runs([experiment], f"{which} and {owner}", max_results=1000) for owner in owners]
    unique = {run.info.run_id: run for runs in found for run in runs if abandoned(run.data.tags)}
    return sorted(unique.values(), key=lambda run: -run.info.start_time)
