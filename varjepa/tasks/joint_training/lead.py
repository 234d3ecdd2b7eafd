"""The leading machine of a training: calls others, starts with those that come, and goes on without those it loses."""

import time
from functools import partial
from typing import NamedTuple
from uuid import uuid4

from varjepa.config import RetrainConfig
from varjepa.errors import SetupError
from varjepa.tasks.joint_training.call import Call, seldom
from varjepa.tasks.joint_training.launch import FAILURE, TRAINED, Job, Machines, require_success, run_processes
from varjepa.tasks.joint_training.network import own_address
from varjepa.tasks.processes.ports import free_port
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import WORK, code_digest, sharing
from varjepa.tasks.tracking.uris import tracking_uri
from varjepa.tasks.work_store.lease import RENEWALS, Lease
from varjepa.tasks.work_store.results import SharedResults

MOST_LOST = 10
"""Attempts that may end because a machine was lost; then the leading machine trains alone."""


class Member(NamedTuple):
    """A machine that has come.

    Attributes:
        number: of its place.
        lease: of the place, which it renews.
    """

    number: int
    lease: Lease


def train_together(job: Job, config: RetrainConfig, code: str) -> None:
    """Trains on `work.machines` machines, or on those of them that are there.

    If one is lost, the others go on from the last checkpoint, with whoever has come meanwhile.

    Args:
        job: what to train.
        config: of the job.
        code: module of the step that trains.

    Raises:
        VarjepaError: the message of the leading process, or that one of the processes of this machine failed.
        ConfigError: this machine does not know its address.
        SetupError: there is no work store.
    """
    store = sharing.get()
    if not isinstance(store, SharedResults):
        raise SetupError("Machines that train together (work.machines) need a work store.", fix="Set work.uri.")
    address = own_address(config.work.address, tracking_uri(config.tracking))
    for attempt in range(MOST_LOST + 1):
        call = _call(job, config, code, address)
        wanted = config.work.machines - 1 if attempt < MOST_LOST else 0
        try:
            members = store.outage.call(partial(_gathered, call, store, wanted, config.work.join_within)) or []
            if _trained(call, store, members, job, config):
                return
        finally:
            store.outage.call(partial(store.place.delete, [call.key]))


def _call(job: Job, config: RetrainConfig, code: str, address: str) -> Call:
    rows, encoded = job.encoded.relative_to(WORK).parts
    return Call(
        training=job.folder.name, attempt=uuid4().hex, code=code_digest(code), rows=rows, encoded=encoded,
        preprocessor=job.preprocessor.name, run_id=job.run_id, config=config.model_dump(mode="json"),
        machines=config.work.machines, lost_after=config.work.lost_after, address=address, port=free_port(),
    )  # fmt: skip


def _gathered(call: Call, store: SharedResults, wanted: int, seconds: float) -> list[Member]:
    """Waits for other machines, and tells those that have come that the training begins."""
    place, until, members = store.place, time.monotonic() + seconds, list[Member]()
    if wanted:
        log.info("waiting up to %.0f s for other machines (%d): varjepa join %s", seconds, wanted, place.uri)
        place.write(call.key, call.model_dump_json().encode())
    leases = [Member(number, call.place_of(place, number, store.outage)) for number in range(1, wanted + 1)]
    while len(members) < wanted and time.monotonic() < until:
        time.sleep(leases[0].lease.pause)
        members = [member for member in leases if member.lease.held()]
    if members:
        # From now on nobody else joins.
        begun = call.model_copy(update={"members": (0, *(member.number for member in members))})
        place.write(call.key, begun.model_dump_json().encode())
    return members


def _trained(call: Call, store: SharedResults, members: list[Member], job: Job, config: RetrainConfig) -> bool:
    """Whether a training came to its end; False if a machine was lost meanwhile."""
    count = len(members) + 1
    log.info("machines that train: %d of %d", count, call.machines)

    def look() -> bool:  # without the store, nothing is known
        return store.outage.call(lambda: all(member.lease.held() for member in members)) is not False

    all_there = seldom(look, call.lost_after / RENEWALS)
    machines = Machines(count, 0, call.address, call.port) if members else None
    code = run_processes(job, config, machines, all_there)
    # The others are free once the result is written, and may leave before the processes here have ended.
    if not members or any((job.folder / name).is_file() for name in (TRAINED, FAILURE)):
        require_success(code, job, config)
        return True
    log.warning("a machine was lost in the middle of the training, which goes on from its last checkpoint")
    return False
