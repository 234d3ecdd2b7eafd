"""What the flow in progress has read and written so far. Without OpenLineage's settings nothing is recorded."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from varjepa.tasks.lineage.tables import Table

State = Literal["START", "COMPLETE", "FAIL", "ABORT"]


@dataclass
class Record:
    """A run of a flow.

    Attributes:
        job: command and model, such as `retrain.people`.
        run_id: a UUID.
        parent: the run that it is part of; None for the outermost.
        inputs: what it has read.
        outputs: what it has written.
        tags: other names of the run, such as its id in the tracking store.
    """

    job: str
    run_id: str = field(default_factory=lambda: str(uuid4()))
    parent: "Record | None" = None
    inputs: dict[str, Table] = field(default_factory=dict)
    outputs: dict[str, Table] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


current: ContextVar[Record | None] = ContextVar("lineage", default=None)
"""The flow in progress; None outside of one, and where no events are sent."""


def reads(table: Table) -> None:
    """Notes an input of the flow in progress."""
    record = current.get()
    if record is not None:
        record.inputs["\n".join(table.name)] = table


def writes(table: Table) -> None:
    """Notes an output of the flow in progress."""
    record = current.get()
    if record is not None:
        record.outputs["\n".join(table.name)] = table


def known_as(**tags: str) -> None:
    """Notes another name of the run in progress, such as that in the tracking store."""
    record = current.get()
    if record is not None:
        record.tags |= tags


def recording() -> bool:
    """Whether a flow in progress is recorded, so that it pays to look something up for it."""
    return current.get() is not None
