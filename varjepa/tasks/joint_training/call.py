"""Calls for machines: what a leading machine asks others to train with it, in the work store."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from varjepa.tasks.joint_training.launch import Job
from varjepa.tasks.steps.reuse import WORK
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.place import Place

CALLS = "calls"
"""Folder of all calls of a store."""

Name = Annotated[str, Field(pattern=r"^[a-z_]+-[0-9a-f]{12}$")]
"""Of the folder of a step."""

File = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z]+)?$")]


class Call(BaseModel):
    """What a leading machine asks for.

    Attributes:
        training: folder of the training step.
        attempt: which of its attempts this is.
        code: digest of the code that trains, which must be the same everywhere.
        rows: folder of the step whose result holds the encoded rows.
        encoded: name of the rows in it.
        preprocessor: name of the preprocessor in it.
        run_id: tracking run of the curves.
        config: of the job, plain data.
        machines: how many are wanted.
        lost_after: seconds without a sign of life after which a machine counts as lost.
        address: of the leading machine.
        port: there.
        members: numbers of the places of the machines that train, in the order of their ranks: 0, the leading machine,
            and others. Empty until they begin.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: Name
    attempt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    code: str
    rows: Name
    encoded: File
    preprocessor: File
    run_id: str
    config: dict[str, Any]
    machines: int
    lost_after: float
    address: str
    port: int
    members: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """Of its object: one per training, so that a new attempt replaces the one before."""
        return f"{CALLS}/{self.training}.json"

    def job(self, folder: Path) -> Job:
        """The input of the processes of a machine.

        Args:
            folder: for what they write.
        """
        rows = WORK / self.rows
        return Job(rows / self.encoded, rows / self.preprocessor, folder, self.run_id)

    def leading(self, place: Place, outage: Outage) -> Lease:
        """The lease of the training step, which the leading machine holds."""
        return Lease(place, self.training, self.lost_after, outage)

    def place_of(self, place: Place, number: int, outage: Outage) -> Lease:
        """The lease of another machine's place, from 1."""
        return Lease(place, f"{self.training}-{self.attempt}-{number}", self.lost_after, outage)


def open_calls(place: Place) -> list[Call]:
    """The calls of a store that wait for machines."""
    calls = (found_call(place, item.key) for item in place.items(CALLS))
    return [call for call in calls if call is not None and not call.members]


def found_call(place: Place, key: str) -> Call | None:
    """A call; None if it is over, or of a version of varjepa that writes calls otherwise."""
    content = place.read(key)
    with suppress(ValidationError):
        return None if content is None else Call.model_validate_json(content)
    return None


def seldom(ask: Callable[[], bool], seconds: float) -> Callable[[], bool]:
    """The same question, which is asked at most so often; between, its last answer counts."""
    last, at = True, 0.0

    def asked() -> bool:
        nonlocal last, at
        if time.monotonic() - at > seconds:
            last, at = ask(), time.monotonic()
        return last

    return asked
