"""Sections about handing over: the gate, the registry, the tracking store."""

from typing import Annotated

from pydantic import Field

from varjepa.config.base import Section


class GateSection(Section):
    """When a new version becomes the champion."""

    promote_first: bool = True
    """Give the `champion` alias to a version where the registered name has none yet."""


class RegistrySection(Section):
    """Where the model is handed over."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/:.%\"'@]+$")] = "varjepa"
    """Name of the registered model."""


class TrackingSection(Section):
    """Where runs are recorded. The environment variable MLFLOW_TRACKING_URI wins over `uri`."""

    uri: str = "sqlite:///mlruns/mlflow.db"
    """Tracking store: a database (sqlite, postgresql), or the address of a tracking server."""
    experiment: str = "varjepa"
    """Name that runs are gathered under."""
    artifacts: Annotated[str, Field(min_length=1)] | None = None
    """Where a new experiment keeps its artifacts: a folder, or a URI that MLflow knows (s3, gs, wasbs, sftp).

    Without it a tracking server decides; other stores keep them in `artifacts` beside the database, or below mlruns.
    """
