"""Opens the work store of a flow, and waits there for the turn of a model."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from varjepa.config import RetrainConfig
from varjepa.config.load import validated
from varjepa.config.operations import WorkSection
from varjepa.errors import ConfigError, SetupError
from varjepa.redaction import redacted_uri
from varjepa.tasks.processes.owner import turn
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import digest, sharing
from varjepa.tasks.tracking.locks import model_lock
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.place import CLOCK, Place
from varjepa.tasks.work_store.results import SharedResults

WORK_URI = "VARJEPA_WORK_URI"
"""Variable of the environment that overrides `work.uri`."""


def work_uri(work: WorkSection) -> str | None:
    """The work store of a job; None if results stay on this machine.

    Raises:
        ConfigError: the environment names something else than a folder of a store.
    """
    return chosen_work_uri(None) or work.uri


def chosen_work_uri(uri: str | None, source: str = "") -> str | None:
    """A work store as people name it outside of a config, or that of the environment; None if there is none.

    Args:
        uri: the store; None means that of the environment.
        source: where the URI stands, for messages.

    Raises:
        ConfigError: it is something else than a folder of a store.
    """
    if uri is not None:
        return validated(WorkSection, {"uri": uri}, source).uri
    own = os.environ.get(WORK_URI)
    return validated(WorkSection, {"uri": own}, f"the variable {WORK_URI}").uri if own else None


@contextmanager
def shared_work(work: WorkSection) -> Iterator[SharedResults | None]:
    """During the block, steps look for results in the work store, and put theirs there; None without one.

    Raises:
        UserError: the store cannot be used.
    """
    uri = work_uri(work)
    if uri is None:
        if work.machines > 1:
            raise ConfigError(
                f"work.machines is {work.machines}, but there is no work store, where machines find each other.",
                fix=f"Set work.uri or {WORK_URI}.",
            )
        yield None
        return
    results = SharedResults(opened_place(uri), work.lost_after, work.checkpoint_seconds)
    token = sharing.set(results)
    try:
        yield results
    finally:
        sharing.reset(token)
        results.finish()


def opened_place(uri: str) -> Place:
    """A work store, after a check that it can be used.

    Raises:
        UserError: it does not answer, refuses access, or does not keep two machines apart.
    """
    with reaching(f"The work store {redacted_uri(uri)}", "used"):
        place, key = Place(uri), f"{CLOCK}/{uuid4().hex}"
        first, second = place.create(key, b""), place.create(key, b"")
        place.delete([key])
    if not first or second:
        raise SetupError(
            f"The work store {redacted_uri(uri)} lets two machines create the same object.",
            fix="Use a store with conditional writes (If-None-Match), as S3, Google Cloud Storage and Azure have them.",
        )
    return place


@contextmanager
def model_turn(config: RetrainConfig, *, wait: bool = True) -> Iterator[bool]:
    """Holds the right to make a registered model: one run at a time on this machine, and among all that share a store.

    Steps share their results during the block, too.

    Args:
        config: of the job.
        wait: wait for another run to end; otherwise yield False at once.

    Yields:
        Whether the right is held.

    Raises:
        UserError: the work store cannot be used.
    """
    with model_lock(config, wait=wait) as locked, shared_work(config.work) as results:
        if not locked or results is None:
            yield locked
            return
        name = f"model-{digest(results.place.uri, config.registry.name)}"
        lease = Lease(results.place, name, config.work.lost_after, results.outage)
        with reaching(results.outage.description, "used"):
            taken = _taken(lease, config.registry.name, wait=wait)
        if not taken:
            yield False
            return
        token = turn.set(lease)
        try:
            yield True
        finally:
            turn.reset(token)
            results.outage.over()
            results.outage.call(lease.release)


def _taken(lease: Lease, model: str, *, wait: bool) -> bool:
    """Takes a lease, if necessary after the run of another machine has ended, or the machine counts as lost."""
    told = False
    while not lease.take():
        if not wait:
            return False
        if not told and lease.holder:
            told = True
            log.info("%s makes the model %s; waiting until it is done or counts as lost", lease.holder, model)
        time.sleep(lease.pause)
    return True
