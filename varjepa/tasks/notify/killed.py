"""Tells people once about runs whose process was killed: a killed process cannot tell them itself."""

import re
import socket
from typing import TYPE_CHECKING

from varjepa.config import RetrainConfig
from varjepa.redaction import redacted
from varjepa.tasks.notify.message import Message
from varjepa.tasks.notify.send import notify
from varjepa.tasks.processes.owner import HOST, PROCESS, abandoned
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.killed_runs import KILL_TOLD, UNTOLD
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run

MOST = 100
"""Runs that are looked at."""


def tell_killed(config: RetrainConfig) -> int:
    """Sends the message `failed` about every killed run of the job's model that people have not been told of.

    Runs are not ended here: the next start of the same job resumes them. Runs in progress on other hosts cannot be
    judged from here. What goes wrong is logged as a warning.

    Returns:
        The number of runs that people were told of.
    """
    if not any("failed" in rule.events for rule in config.notify):
        return 0
    uri = tracking_uri(config.tracking)
    try:
        with host_lock(uri, f"told of {config.registry.name}"):  # two processes may notice at once
            return sum(_told(config, run) for run in _untold(config))
    except Exception as error:  # noqa: BLE001 (no run may fail because another one was killed)
        log.warning("killed runs could not be looked for: %s", redacted(repr(error)))
        return 0


def _untold(config: RetrainConfig) -> list["Run"]:
    client, experiment = client_of(config.tracking), experiment_id(config.tracking)
    in_progress = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{socket.gethostname()}'"
    running = client.search_runs([experiment], in_progress, max_results=MOST)
    killed = [
        run for run in running if abandoned(run.data.tags) and run.data.tags.get(KILL_TOLD) != run.data.tags[PROCESS]
    ]
    killed += client.search_runs([experiment], f"tags.`{UNTOLD}` = 'yes'", max_results=MOST)
    # `opened_run` names runs so; the settings come later, so that a run may have been killed before.
    ours = re.compile(rf"[a-z]+ {re.escape(config.registry.name)} \d{{4}}-.*")
    return [run for run in killed if ours.fullmatch(run.info.run_name)]


def _told(config: RetrainConfig, run: "Run") -> bool:
    client, run_id, tags = client_of(config.tracking), run.info.run_id, run.data.tags
    reason = (
        f"the process of `varjepa {tags.get('varjepa.step', 'retrain')}` on {tags.get(HOST)} was killed; "
        "the next run of the same job goes on with what it had finished"
    )
    message = Message("failed", config.registry.name, reason, run_id=run_id)
    if not notify(config.notify, tracking_uri(config.tracking), message):
        return False  # tried again by whoever looks next
    client.set_tag(run_id, KILL_TOLD, tags[PROCESS])
    if UNTOLD in tags:
        client.delete_tag(run_id, UNTOLD)
    return True
