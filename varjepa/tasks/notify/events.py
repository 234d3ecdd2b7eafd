"""Tells people how flows have ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from shlex import quote
from typing import Any

from varjepa.config import RetrainConfig
from varjepa.config.operations import EVENT
from varjepa.errors import ContractError, VarjepaError
from varjepa.tasks.notify.killed import tell_killed
from varjepa.tasks.notify.message import Message
from varjepa.tasks.notify.send import notify
from varjepa.tasks.processes.owner import TakenOverError
from varjepa.tasks.registry.tags import NOT_YET, TOLD_TAG
from varjepa.tasks.release.gate import Decision
from varjepa.tasks.release.register import Registered
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.tracking.patience import TrackingLostError
from varjepa.tasks.tracking.store import client_of
from varjepa.tasks.tracking.uris import tracking_uri

TOLD = "varjepa_told"
"""Attribute of errors that people have been told of."""

_run: ContextVar[list[str] | None] = ContextVar("run of the failure", default=None)


@contextmanager
def failures_told(config: RetrainConfig) -> Iterator[None]:
    """Sends a message about an error that leaves the block, which it passes on; interruptions are no errors.

    Before, people are told of earlier runs of the model that were killed. Afterwards, the page of the model's life
    lists the run that has failed.
    """
    tell_killed(config)
    runs: list[str] = []
    token = _run.set(runs)
    try:
        yield
    except (TrackingLostError, TakenOverError):  # the next start, or another machine, resumes the run
        raise
    except Exception as error:
        if not getattr(error, TOLD, False):  # by a flow within this one
            tell_failure(config, error, runs[-1] if runs else None)
            setattr(error, TOLD, True)
            if runs:
                keep_life(config.registry.name, tracking_uri(config.tracking))
        raise
    finally:
        _run.reset(token)


def tell_failure(config: RetrainConfig, error: Exception, run_id: str | None = None) -> None:
    """Says why a job has failed."""
    reason = str(error) if isinstance(error, VarjepaError) else f"{type(error).__name__}: {error}"
    event: EVENT = "contract" if isinstance(error, ContractError) else "failed"
    tell(config, Message(event, config.registry.name, reason, run_id=run_id))


def in_run(run_id: str) -> None:
    """Names the run that a message about a failure links to."""
    runs = _run.get()
    if runs is not None:
        runs.append(run_id)


def tell(config: RetrainConfig, message: Message) -> int:
    """Sends a message by the rules of a job; returns how many addresses have accepted it."""
    return notify(config.notify, tracking_uri(config.tracking), message)


def tell_decision(config: RetrainConfig, run_id: str, registered: Registered | None, decision: Decision) -> None:
    """Says once what the gate has decided about a version: a retrain that is resumed does not say it again."""
    if registered is None or not config.notify:
        return
    client, name, version = client_of(config.tracking), registered.name, registered.version
    told = client.get_model_version(name, str(version)).tags.get(TOLD_TAG)
    event = decision.event
    if event is None and told == NOT_YET:  # the process that decided died before it could tell
        event = "promoted"
    if event is None or told == f"{event} {decision.reason}"[:LONGEST]:
        return
    commands = _commands(registered.uri) if event == "pending" else ()
    if not tell(config, Message(event, name, decision.reason, version, run_id, commands)):
        return  # tried again when the job is resumed, or finds the same model
    client.set_model_version_tag(name, str(version), TOLD_TAG, f"{event} {decision.reason}"[:LONGEST])


LONGEST = 3000
"""Most characters of the tag that says what people have been told."""


def _commands(uri: str) -> tuple[str, ...]:
    return tuple(f'varjepa {word} {quote(uri)} --why "..."' for word in ("approve", "reject"))


def tell_skipped(config: RetrainConfig, reason: str, run_id: Any = None) -> None:
    """Says that a scheduled run had nothing to do."""
    tell(config, Message("skipped", config.registry.name, reason, run_id=run_id))
