"""Settings of the service."""

from dataclasses import dataclass
from pathlib import Path

TOKEN = "VARJEPA_SERVE_TOKEN"  # noqa: S105 (a name)
"""Variable of the environment; if it is set, requests must bring its value as a bearer token."""

MIB = 2**20


@dataclass(frozen=True)
class ServeSettings:
    """What `varjepa serve` serves, and its limits.

    Attributes:
        model: `models:/NAME@ALIAS`, `models:/NAME/VERSION`, a run id or a folder.
        groups: groups of columns that an answer has unless the request names others.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        shadow: alias of the same name whose version scores the same rows, without answering; None for none.
        every: seconds between looks at the aliases.
        most_bytes: of a request's body.
        most_rows: of a request.
        timeout: seconds until a request is given up.
        log: folder of the prediction log; None for none.
        keep: columns of the rows that the log holds, such as a key; ("*",) for all.
        log_bytes: of the log; the oldest files are removed beyond it.
    """

    model: str
    groups: tuple[str, ...] = ("prediction", "uncertainty")
    tracking_uri: str | None = None
    device: str = "auto"
    shadow: str | None = None
    every: float = 5.0
    most_bytes: int = 10 * MIB
    most_rows: int = 10_000
    timeout: float = 30.0
    log: Path | None = None
    keep: tuple[str, ...] = ()
    log_bytes: int = 1024 * MIB
