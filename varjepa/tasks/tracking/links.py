"""Addresses of MLflow's pages.

A page opens in the view for GenAI unless its address asks for the one about training, or the browser remembers that
its user chose that one. In MLflow 3.17 the experiment's tag (`varjepa.tasks.tracking.store.KIND`) no longer decides.
"""

import re
from urllib.parse import quote

from varjepa.redaction import redacted_uri

TRAINING = "workflowType=machine_learning"
"""What an address asks for."""

_WEB = re.compile(r"https?://", re.IGNORECASE)


def is_server(uri: str) -> bool:
    """Whether a tracking store is a server, which has pages."""
    return _WEB.match(uri) is not None


def experiments_page(uri: str) -> str:
    """The list of experiments of a server."""
    return _page(uri, "experiments")


def experiment_page(uri: str, experiment: str) -> str:
    """The runs of an experiment, by its id."""
    return _page(uri, "experiments", experiment)


def run_page(uri: str, experiment: str, run_id: str) -> str:
    """A run.

    Examples:
        >>> run_page("https://example.com/", "12", "abc")
        'https://example.com/#/experiments/12/runs/abc?workflowType=machine_learning'
    """
    return _page(uri, "experiments", experiment, "runs", run_id)


def artifact_link(words: str, experiment: str, run_id: str, path: str) -> str:
    """A link in Markdown to an artifact, for descriptions on a tracking server's own pages.

    Examples:
        >>> artifact_link("Report", "12", "abc", "a b.html")
        '[Report](#/experiments/12/runs/abc/artifacts/a%20b.html?workflowType=machine_learning)'
    """
    return f"[{words}](#/experiments/{experiment}/runs/{run_id}/artifacts/{quote(path)}?{TRAINING})"


def version_page(uri: str, model: str, version: int) -> str:
    """A version of a registered model."""
    return _page(uri, "models", model, "versions", str(version))


def _page(uri: str, *parts: str) -> str:
    path = "/".join(quote(part, safe="") for part in parts)
    return f"{redacted_uri(uri).rstrip('/')}/#/{path}?{TRAINING}"
