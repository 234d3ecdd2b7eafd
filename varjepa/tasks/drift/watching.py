"""What `varjepa watch` looks at before it compares: the champion, and the last comparison."""

from dataclasses import dataclass
from typing import Any

from varjepa.config import RetrainConfig
from varjepa.errors import ConfigError
from varjepa.tasks.drift.compare import Question
from varjepa.tasks.registry.champion import CHAMPION, champion_of
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.open_table import fingerprint_now
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri

WATCHED = "varjepa.watched"
"""Tag of a run of `varjepa drift` on a schedule: version and fingerprint of the rows."""


@dataclass(frozen=True)
class Look:
    """What a watch is about to compare.

    Attributes:
        question: the champion and the new rows.
        mark: version and fingerprint, for the tag `WATCHED`.
    """

    question: Question
    mark: str


def require_rows(config: RetrainConfig) -> str:
    """Where the new rows lie.

    Raises:
        ConfigError: the job names no place.
    """
    place = config.watch.path or config.data.path
    if place is None:
        raise ConfigError("watch.path is not set, and the table of the job lies at no path.", fix="Set watch.path.")
    return place


def next_look(config: RetrainConfig) -> Look | str:
    """What to compare now, or why there is nothing to compare."""
    client, name = client_of(config.tracking), config.registry.name
    version = champion_of(client, name)
    if version is None:
        return f"{name} has no champion yet"
    path = require_rows(config)
    # The settings of another place hold for that place only; those of data.path hold for itself.
    reading: dict[str, Any] = {"query": config.watch.query} if config.watch.path else _reading(config)
    mark = f"{version} {fingerprint_now(section_at(config.data, path, **reading))}"
    if _watched(config, mark):
        return f"the rows are those that were compared with version {version} before"
    uri = tracking_uri(config.tracking)
    question = Question(f"models:/{name}@{CHAMPION}", path, tracking_uri=uri, reading=reading)
    return Look(question, mark)


def _reading(config: RetrainConfig) -> dict[str, Any]:
    return {"query": config.data.query, "parameters": dict(config.data.parameters), "at": config.data.at}


def _watched(config: RetrainConfig, mark: str) -> bool:
    filter_string = f"attributes.status = 'FINISHED' and tags.`{WATCHED}` = '{mark}'"
    client = client_of(config.tracking)
    return bool(client.search_runs([experiment_id(config.tracking)], filter_string, max_results=1))
