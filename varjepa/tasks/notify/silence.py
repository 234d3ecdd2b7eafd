"""Tells people once that a schedule has not run when it should have."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from varjepa.config import RetrainConfig
from varjepa.config.durations import duration, in_words
from varjepa.redaction import redacted
from varjepa.tasks.notify.events import tell
from varjepa.tasks.notify.message import Message
from varjepa.tasks.registry.search import registered_model
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.store import client_of, experiment_id
from varjepa.tasks.tracking.uris import tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run

SILENT = "varjepa.silent"
"""Tag of a registered model: the retrain after which people were told of silence."""


def tell_silence(config: RetrainConfig) -> str | None:
    """Tells people once if the schedule of a model is silent; returns in words for how long.

    What goes wrong is logged as a warning.
    """
    try:
        return _silence(config)
    except Exception as error:  # noqa: BLE001 (no run may fail because an earlier one has not come)
        log.warning("silence could not be looked for: %s", redacted(repr(error)))
        return None


def _silence(config: RetrainConfig) -> str | None:
    last = None if config.watch.silent_after is None else _last_retrain(config)
    if last is None or config.watch.silent_after is None:
        return None
    age = datetime.now(UTC) - datetime.fromtimestamp(last.info.start_time / 1000, UTC)
    if age < duration(config.watch.silent_after):
        return None
    client, name = client_of(config.tracking), config.registry.name
    words = f"the last retrain began {_spoken(age)} ago, more than watch.silent_after ({config.watch.silent_after})"
    with host_lock(tracking_uri(config.tracking), f"told of {name}"):  # two processes may notice at once
        model = registered_model(client, name)  # None if no retrain has ever made a version
        noted = last.data.tags.get(SILENT) if model is None else model.tags.get(SILENT)
        message = Message("silent", name, words, run_id=last.info.run_id)
        if noted != last.info.run_id and tell(config, message):  # otherwise tried again by whoever looks next
            if model is None:
                client.set_tag(last.info.run_id, SILENT, last.info.run_id)
            else:
                client.set_registered_model_tag(name, SILENT, last.info.run_id)
    return words


def _last_retrain(config: RetrainConfig) -> "Run | None":
    """The newest run of a retrain or of its schedule, whatever came of it."""
    client, order = client_of(config.tracking), ["attributes.start_time DESC"]
    newest = [
        run
        for step in ("retrain", "schedule")
        for run in client.search_runs(
            [experiment_id(config.tracking)],
            f"tags.`varjepa.step` = '{step}' and params.`registry.name` = '{config.registry.name}'",
            order_by=order, max_results=1,
        )
    ]  # fmt: skip
    return max(newest, key=lambda run: run.info.start_time, default=None)


def _spoken(age: timedelta) -> str:
    days = age.days
    return f"{days} days" if days > 1 else in_words(age.total_seconds())
