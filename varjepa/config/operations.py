"""Sections about handing over and watching: the gate, the registry, drift, the tracking store."""

from typing import Annotated

from pydantic import Field

from varjepa.config.base import Positive, Section, Share


class GateSection(Section):
    """When a new version becomes the champion."""

    promote_first: bool = True
    """Give the `champion` alias to a version where the registered name has none yet."""


class RegistrySection(Section):
    """Where the model is handed over."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/:.%\"'@]+$")] = "varjepa"
    """Name of the registered model."""


class DriftSection(Section):
    """When new data counts as different from what the model was measured on (`varjepa drift`)."""

    false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of unchanged batches that are called drift, at most: all tests of a batch together (Holm's correction)."""
    smallest_effect: Share = 0.02
    """Changes of fewer rows than this share are no drift, however certain: they would show in every large batch."""
    smallest_share: Share = 0.005
    """The same for the share of missing cells and of new categories, which is small where all is well."""
    level: Share = 0.0
    """A retrain starts where drift changes at least this share of the rows in some respect; 0: at any drift."""
    rows: Positive = 20_000
    """At most this many new rows, drawn at random, go through the model; columns are counted in all rows."""
    reference_rows: Positive = 10_000
    """At most this many calibration and test rows go through the model to make the reference."""


class TrackingSection(Section):
    """Where runs are recorded. The environment variable MLFLOW_TRACKING_URI wins over `uri`."""

    uri: str = "sqlite:///mlruns/mlflow.db"
    experiment: str = "varjepa"
