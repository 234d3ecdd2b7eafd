"""What a message says: one event, its reason, and where to look."""

from dataclasses import dataclass, field

from varjepa.config.operations import EVENT
from varjepa.redaction import redacted, redacted_uri
from varjepa.tasks.tracking.links import is_server, run_page, version_page
from varjepa.visible import visible

HEADINGS: dict[EVENT, str] = {
    "failed": "the run failed",
    "contract": "the data broke its contract",
    "promoted": "a new champion",
    "refused": "the gate refused the new version",
    "pending": "a version waits for approval",
    "drift": "new rows have drifted",
    "skipped": "nothing has changed, so nothing was trained",
    "silent": "the schedule is silent",
}
"""What happened, in a few words."""

LONGEST = 1500
"""Most characters of a reason."""


@dataclass(frozen=True)
class Message:
    """A message to people.

    Attributes:
        event: what happened.
        model: registered name.
        reason: why, in words; may hold text of strangers.
        version: of the model; None where there is none.
        run_id: of the run; None where none was opened.
        commands: what the reader can do.
    """

    event: EVENT
    model: str
    reason: str
    version: int | None = None
    run_id: str | None = None
    commands: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """One line: model, version and what happened."""
        name = self.model if self.version is None else f"{self.model} {self.version}"
        return _clean(f"varjepa: {name}: {HEADINGS[self.event]}")

    def text(self, uri: str, experiment: str | None) -> str:
        """Reason, commands, and links to the run and the version.

        Args:
            uri: tracking store. Links exist where it is a tracking server; otherwise ids and the store are named.
            experiment: id of the run's experiment; None without a run.
        """
        lines = [_clean(self.reason)[:LONGEST], *self.commands]
        lines += [f"{name}: {place}" for name, place in self._places(uri, experiment).items()]
        return "\n".join(lines)

    def _places(self, uri: str, experiment: str | None) -> dict[str, str]:
        web, places = is_server(uri), {}
        if self.run_id is not None:
            places["Run"] = run_page(uri, str(experiment), self.run_id) if web else self.run_id
        if self.version is not None:
            page = version_page(uri, self.model, self.version)
            places["Version"] = page if web else f"models:/{self.model}/{self.version}"
        return places if web or not places else places | {"Tracking store": redacted_uri(uri)}


def _clean(text: str) -> str:
    """On one line, without secrets and invisible characters."""
    return visible(redacted(" ".join(text.split())))
