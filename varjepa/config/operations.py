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
    experiment: str = "varjepa"
