"""A machine that joins trainings which other machines lead."""

import os
import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from varjepa.config import RetrainConfig
from varjepa.redaction import redacted_uri
from varjepa.tasks.answers.retrain import JoinAnswer, JoinedAnswer
from varjepa.tasks.joint_training.call import Call, found_call, open_calls, seldom
from varjepa.tasks.joint_training.launch import FINISHED, Machines, run_processes
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import DONE, WORK, code_digest, step_lock
from varjepa.tasks.work_store.lease import RENEWALS, Lease
from varjepa.tasks.work_store.opened import opened_place
from varjepa.tasks.work_store.results import SharedResults

LOOK_SECONDS = 2.0
"""Seconds between two looks for a call."""

CODE = "varjepa.tasks.retrain.pretrain"
"""Module of the step that trains."""


class Seat(NamedTuple):
    """A place of this machine in a training.

    Attributes:
        call: of the training.
        number: of the place.
        lease: of the place.
    """

    call: Call
    number: int
    lease: Lease


def join(uri: str, *, once: bool = False) -> JoinAnswer:
    """Joins the trainings of a work store that ask for other machines (`work.machines`), until interrupted.

    Args:
        uri: the store.
        once: end after the first training that came to its end.

    Raises:
        UserError: the store cannot be used at the start.
    """
    place, joined, other_code = opened_place(uri), list[JoinedAnswer](), set[str]()
    # Leases have the times of each call; nothing is uploaded from here.
    store = SharedResults(place, lost_after=60.0, checkpoint_seconds=0.0)
    log.info("waiting for trainings that ask for machines in %s", redacted_uri(uri))
    while not (once and joined):
        # A store that does not answer for a while ends nothing: this machine waits for it.
        seat = store.outage.call(partial(_seat, store, other_code))
        if seat is None:
            time.sleep(LOOK_SECONDS)
            continue
        try:
            answer = store.outage.call(partial(_trained, seat, store))
        finally:
            store.outage.call(seat.lease.forget)
        if answer is not None:
            joined.append(answer)
    return {"joined": joined}


def _seat(store: SharedResults, other_code: set[str]) -> Seat | None:
    """Takes a place in a training that waits for machines, once the rows are here."""
    for call in open_calls(store.place):
        if call.code != code_digest(CODE):
            if call.training not in other_code:
                other_code.add(call.training)
                log.warning("%s asks for machines, but with another version of varjepa or its libraries", call.training)
            continue
        if not (call.leading(store.place, store.outage).held() and _rows_are_here(call, store)):
            continue
        for number in range(1, call.machines):
            lease = call.place_of(store.place, number, store.outage)
            if lease.take():
                return Seat(call, number, lease)
    return None


def _rows_are_here(call: Call, store: SharedResults) -> bool:
    """Fetches the encoded rows, unless an earlier training has."""
    folder = WORK / call.rows
    with step_lock(folder):
        return (folder / DONE).is_file() or store.fetch(folder)


def _trained(seat: Seat, store: SharedResults) -> JoinedAnswer | None:
    """Trains with the others; None if the training did not begin with this machine, or lost one."""
    call, began = seat.call, time.perf_counter()
    log.info("joined %s, led by %s; waiting for it to begin", call.training, call.address)
    members = _members(seat, store)
    if seat.number not in members:
        return None
    machines = Machines(len(members), members.index(seat.number), call.address, call.port)
    log.info("%s begins on %d machines; this one is number %d", call.training, machines.size, machines.rank + 1)
    folder = WORK / f"join-{call.attempt[:12]}"
    folder.mkdir(parents=True, exist_ok=True)

    def look() -> bool:
        _keep_young(folder, WORK / call.rows)
        return store.outage.call(lambda: _goes_on(seat, store)) is not False

    try:
        goes_on = seldom(look, call.lost_after / RENEWALS)
        run_processes(call.job(folder), RetrainConfig.model_validate(call.config), machines, goes_on)
        finished = (folder / FINISHED).is_file()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.perf_counter() - began, 1)
    if not finished:
        log.warning("%s ended here before its end: a machine was lost, or a process failed", call.training)
        return None
    log.info("%s is trained, after %.0f s", call.training, seconds)
    return {"training": call.training, "machines": machines.size, "seconds": seconds}


def _keep_young(*folders: Path) -> None:
    """Tells `varjepa clean` that folders are in use. They may be read for days after the last file was written."""
    for folder in folders:
        with suppress(FileNotFoundError):
            os.utime(folder)


def _members(seat: Seat, store: SharedResults) -> tuple[int, ...]:
    """Waits for the beginning; the places of the machines that train, none if this attempt is over."""
    while _goes_on(seat, store):
        call = found_call(store.place, seat.call.key)
        if call is not None and call.members:
            return call.members if call.attempt == seat.call.attempt else ()
        time.sleep(seat.lease.pause)
    return ()


def _goes_on(seat: Seat, store: SharedResults) -> bool:
    """Whether the attempt is not over: the leading machine lives, and has not called again."""
    call = found_call(store.place, seat.call.key)
    leads = seat.call.leading(store.place, store.outage)
    return not seat.lease.lost and call is not None and call.attempt == seat.call.attempt and leads.held()
