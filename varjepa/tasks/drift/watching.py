"""What `varjepa watch` looks at before it compares: the champion, and the last comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from varjepa.config import RetrainConfig
from varjepa.tasks.drift.compare import Question
from varjepa.tasks.registry.champion import CHAMPION, champion_of
from varjepa.tasks.registry.tags import DAY_TAG
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.open_table import fingerprint_now
from varjepa.tasks.sources.watched import require_rows
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri

WATCHED = "varjepa.watched"
"""Tag of a run of `varjepa drift` on a schedule: version and fingerprint of the rows."""

OF_THE_PAST = "varjepa.backfill"
"""Tag of a comparison of a past day: nobody was told of it, and no retrain started."""


@dataclass(frozen=True)
class Look:
    """What a watch is about to compare.

    Attributes:
        question: the champion and the new rows.
        tags: of the run: version and fingerprint, and the day whose rows they are, if any.
    """

    question: Question
    tags: dict[str, str]


def next_look(config: RetrainConfig, day: date | None = None, *, backfill: bool = False) -> Look | str:
    """What to compare, or why there is nothing to compare.

    Args:
        config: of the job, for the rows of the day.
        day: whose rows they are; None if they are the same on every day.
        backfill: compare rows that are the same as on another day, too: each day is a point of its own.
    """
    client, name = client_of(config.tracking), config.registry.name
    version = champion_of(client, name)
    if version is None:
        return f"{name} has no champion yet"
    path = require_rows(config)
    # The settings of another place hold for that place only; those of data.path hold for itself.
    reading: dict[str, Any] = {"query": config.watch.query} if config.watch.path else _reading(config)
    compared = {WATCHED: f"{version} {fingerprint_now(section_at(config.data, path, **reading))}"}
    tags = compared | ({} if day is None else {DAY_TAG: day.isoformat()})
    if compared_before(config, tags if backfill else compared, backfill=backfill):
        return f"the rows are those that were compared with version {version} before"
    uri = tracking_uri(config.tracking)
    keys = config.signing.trusted_keys
    question = Question(f"models:/{name}@{CHAMPION}", path, tracking_uri=uri, reading=reading, trusted_keys=keys)
    return Look(question, tags | ({OF_THE_PAST: "yes"} if backfill else {}))


def _reading(config: RetrainConfig) -> dict[str, Any]:
    return {"query": config.data.query, "parameters": dict(config.data.parameters), "at": config.data.at}


def compared_before(config: RetrainConfig, tags: Mapping[str, str], *, backfill: bool) -> bool:
    """Whether a finished comparison has these tags. Rows of two models may be the same: the one compared is named, too.

    Args:
        config: of the job.
        tags: of the run that is about to begin.
        backfill: a comparison of a past day counts as well; otherwise people must have had the chance to be told.
    """
    tags = {**tags, "varjepa.model": f"models:/{config.registry.name}@{CHAMPION}"}
    asked = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    filter_string = " and ".join(["attributes.status = 'FINISHED'", *asked])
    found = client_of(config.tracking).search_runs([experiment_id(config.tracking)], filter_string)
    return any(backfill or OF_THE_PAST not in run.data.tags for run in found)
