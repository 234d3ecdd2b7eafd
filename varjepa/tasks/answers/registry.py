"""What commands answer about registered versions."""

from typing import NotRequired, TypedDict


class GateAnswer(TypedDict):
    """The gate's verdict on a version, from its tags; `vetoes` are names."""

    outcome: str
    vetoes: list[str]
    reason: str


class VersionAnswer(TypedDict):
    """A registered version in `varjepa models`; `quality` is the probe's accuracy or R2,
    `rows` None where no retrain made it.
    """

    name: str
    version: int
    aliases: list[str]
    created: str
    quality: float | None
    rows: int | None
    run_id: str | None
    gate: GateAnswer


class ChampionAnswer(TypedDict):
    """A change of the champion in `varjepa models`; `steps` is how far a rollback went back."""

    name: str
    version: int
    before: int | None
    by: str
    who: str
    time: str
    reason: str
    steps: int


class VerdictAnswer(TypedDict):
    """What the gate had said of a version that a person promotes."""

    outcome: str | None
    vetoes: list[str]
    reason: str


class MoveAnswer(TypedDict):
    """`varjepa promote` (with `gate` and `forced`) and `varjepa rollback` (with `steps`)."""

    name: str
    version: int
    uri: str
    before: int | None
    moved: bool
    dry_run: bool
    gate: NotRequired[VerdictAnswer]
    forced: NotRequired[bool]
    steps: NotRequired[int]


class ApprovalAnswer(TypedDict):
    """`varjepa approve` and `varjepa reject`: `state` is approved or rejected, `before` the champion until then."""

    name: str
    version: int
    uri: str
    before: int | None
    moved: bool
    state: str
    who: str
    why: str


class VerifyAnswer(TypedDict):
    """`varjepa verify`: what was checked and what was not, in words; `manifest` is its SHA-256, `signed_by` the
    SHA-256 of the public key that its signature names; null without one.
    """

    model: str
    folder: str
    manifest: str | None
    signed_by: str | None
    checked: list[str]
    not_checked: list[str]


class RemovedAnswer(TypedDict):
    """Something that `varjepa clean` removed, or would remove; `bytes` is None if unknown."""

    kind: str
    name: str
    bytes: int | None
    why: str


class CleanAnswer(TypedDict):
    """`varjepa clean`: what was removed, and how much room it took; with `dry_run`, what would be."""

    dry_run: bool
    removed: list[RemovedAnswer]
    bytes: int
    kept: list[str]
