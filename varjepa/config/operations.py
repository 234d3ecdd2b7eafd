"""Sections about handing over: the gate, the registry, the tracking store."""

from typing import Annotated, Literal

from pydantic import Field

from varjepa.config.base import Positive, Section, Share

Limit = Annotated[float, Field(ge=0)] | None


class GateSection(Section):
    """When a new version becomes the champion (docs/gate.md). A limit of null turns its veto off."""

    promote_first: bool = True
    """Give the `champion` alias to a version where the registered name has none yet, unless a veto that needs no
    champion fires."""
    metric: Literal["auto", "accuracy", "log_loss", "squared_error", "elbo"] = "auto"
    """What champion and challenger are compared in, row by row; auto: accuracy for classes, squared_error for numbers,
    elbo without a label (var_t_jepa only). One that does not fit the label is replaced by that of auto."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """A challenger counts as not worse where the interval of the difference stays above minus this. In points of
    accuracy (null: 0.01), nats of log loss or ELBO per row (0.02), or shares of the champion's squared error (0.05)."""
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Of the interval, and of all tests of one veto together."""
    rows: Annotated[int, Field(ge=50)] = 20_000
    """At most this many test rows, evenly spaced, are compared and kept with the version."""
    min_rows: Positive = 30
    """Classes and subgroups with fewer test rows are named, not judged."""
    subgroups: tuple[str, ...] = ()
    """Columns whose values divide the test rows into subgroups; they may be in `data.drop`. Columns of many numbers are
    cut at their quartiles."""
    subgroup_margin: Limit = 5.0
    """A challenger may be worse by this many margins in a class or a subgroup; more, and beyond chance, is a veto."""
    reference: bool = True
    """Keep the test rows of a version with its run, and compare on those of the champion, too, as if they were one more
    subgroup: data that are broken from top to bottom bring broken test rows of their own."""
    structure_margin: Limit = 0.1
    """By how many nats a hidden cell may be less probable given the others of its row, where both models have a
    generator: rows whose cells do not belong together teach nothing of the kind."""
    calibration_margin: Limit = 0.02
    """The expected calibration error may exceed the champion's by this."""
    coverage_margin: Limit = 0.1
    """The share of accepted rows may fall by this in a class or a subgroup (and, where both have a certificate, at
    all); accepted are the certificate's rows, without one the surest 80%."""
    min_active: Share | None = 0.05
    """Share of the embedding's dimensions that must be active (variance over rows above 0.01)."""
    min_rank: Limit = 1.5
    """RankMe of the embedding must reach this; 1 is collapse."""
    collapse_share: Share | None = 0.5
    """Active units and RankMe must reach this share of the champion's, where both embeddings are of one size."""
    same_inputs: bool = True
    """A challenger must neither ask for a column that the champion can do without, nor lose a class or an output."""
    latency_ratio: Limit = 2.0
    """A row may take this many times as long as with the champion, timed in turns on the same rows."""
    latency_ms: Limit = None
    """Milliseconds per row that scoring may take at most, in batches of 256 rows on this machine."""


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
