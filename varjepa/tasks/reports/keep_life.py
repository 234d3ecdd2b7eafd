"""Keeps the page of a model's life in the tracking UI: with the run of its newest version, linked from the model."""

import re

from varjepa.redaction import redacted
from varjepa.tasks.registry.search import registered_model, versions_of
from varjepa.tasks.reports.life import life_page, run_of
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.links import artifact_link
from varjepa.tasks.tracking.locks import host_lock
from varjepa.tasks.tracking.store import client_for

PAGE = "life.html"
"""Artifact of the run."""

WORDS = "Life of this model"
_LINK = re.compile(rf"\s*\[{WORDS}\]\([^)\s]*\)")


def keep_life(name: str, uri: str) -> str | None:
    """Brings the page up to date; returns the run that has it, or None if there is none.

    A page that cannot be made or stored is logged as a warning: what it tells of has happened all the same.

    Args:
        name: registered model.
        uri: tracking store.
    """
    try:
        return _kept(name, uri)
    except Exception as error:  # noqa: BLE001 (a run must not fail because of a page about it)
        log.warning("the page of the life of %s was not stored: %s", name, redacted(repr(error)))
        return None


def _kept(name: str, uri: str) -> str | None:
    from mlflow.exceptions import MlflowException

    client = client_for(uri)
    model = registered_model(client, name)
    if model is None:
        return None
    with host_lock(uri, f"life of {name}"):  # an older page must not replace a newer one
        for version in versions_of(client, name):
            try:
                run = client.get_run(run_of(version)).info
            except MlflowException:  # somebody has deleted it
                continue
            if run.lifecycle_stage == "active":
                break
        else:
            return None
        client.log_text(run.run_id, life_page(name, uri, remember=True), PAGE)
        ours = artifact_link(WORDS, run.experiment_id, run.run_id, PAGE)
        theirs = _LINK.sub("", model.description or "")
        description = f"{theirs}\n\n{ours}".strip()
        if description != model.description:
            client.update_registered_model(name, description)
    return str(run.run_id)
