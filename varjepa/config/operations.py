"""Sections about releasing and monitoring: the gate, the registry, drift, the tracking store."""

from typing import Annotated, Literal

from pydantic import Field

from varjepa.config.base import Positive, Section, Share

Limit = Annotated[float, Field(ge=0)] | None


class GateSection(Section):
    """When a new version becomes the champion (docs/gate.md). Setting a limit to null turns its veto off."""

    promote_first: bool = True
    """If the registered name has no champion yet, give the alias `champion` to the new version, unless a veto that
    needs no champion fires."""
    metric: Literal["auto", "accuracy", "log_loss", "squared_error", "elbo"] = "auto"
    """Metric that compares challenger and champion row by row. auto: accuracy for classification, squared_error for
    regression, elbo without a label (var_t_jepa only). A metric that does not fit the label is replaced by that of
    auto."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """A challenger is "not worse" if its mean gain is shown to be above minus this margin. Its unit: points of
    accuracy (null: 0.01), nats of log loss or ELBO per row (null: 0.02), or shares of the champion's squared error
    (null: 0.05)."""
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence level of the interval; (1 - level) / 2 is the error of the comparison, and of all tests of one veto
    together."""
    rows: Annotated[int, Field(ge=50)] = 20_000
    """At most this many test rows, evenly spaced, are compared and stored with the version."""
    min_rows: Positive = 30
    """Classes and subgroups with fewer test rows are listed, and judged together. By themselves they are judged only on
    right and wrong answers, where a large loss shows in a few rows."""
    subgroups: tuple[str, ...] = ()
    """Columns whose values divide the test rows into subgroups. They may be listed in `data.drop`. Numeric columns with
    many values are cut at their quartiles."""
    subgroup_margin: Limit = 5.0
    """The veto fires if a challenger is significantly worse in a class or a subgroup, by more than this many
    margins."""
    reference: bool = True
    """Store the test rows of a version with its run, and hashes of the rows that it has learned from. Also compare on
    the champion's test rows that the challenger has not learned from, as if they were one more subgroup. Reason: if all
    new data is damaged, the new test rows are damaged, too."""
    structure_margin: Limit = 0.1
    """A hidden cell, given the others of its row, may be less probable by this many nats on average. Tested if both
    models have a generator. It detects training rows whose cells do not belong together."""
    calibration_margin: Limit = 0.02
    """The expected calibration error may exceed that of the champion by this. Of numbers: the intervals may hold the
    label less often than promised, and than those of the champion, by this."""
    coverage_margin: Limit = 0.1
    """The share of accepted rows may fall by this in a class or a subgroup (if both models have a certificate, also
    over all rows). Rows are accepted by the certificate; without one, the 80% least uncertain rows count as
    accepted."""
    min_active: Share | None = 0.05
    """Minimum share of active dimensions of the embedding (variance over rows above 0.01)."""
    min_rank: Limit = 1.5
    """Minimum RankMe of the embedding; 1 means collapse."""
    collapse_share: Share | None = 0.5
    """Active units and RankMe must reach this share of the champion's. Tested if both embeddings have the same size."""
    same_inputs: bool = True
    """A challenger must not need a column that the champion does not need, nor lack a class or an output."""
    latency_ratio: Limit = 2.0
    """A row may take at most this many times as long as with the champion, timed in turns on the same rows."""
    latency_ms: Limit = None
    """Scoring may take at most this many milliseconds per row, in batches of 256 rows on this machine."""

    @property
    def risk(self) -> float:
        """One-sided error of the comparison, and of all tests of one veto together."""
        return (1 - self.level) / 2


class RegistrySection(Section):
    """Where the model is registered."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[^/:.%\"'@]+$")] = "varjepa"
    """Name of the registered model."""


class DriftSection(Section):
    """When new rows count as drifted from the reference of the model (`varjepa drift`)."""

    false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """At most this share of unchanged batches is reported as drift, all tests of a batch together (Holm's
    correction)."""
    smallest_effect: Share = 0.02
    """Changes of a smaller share of rows are not reported, even if significant: in large batches all changes are."""
    smallest_share: Share = 0.005
    """The same for the shares of missing cells and of new categories, which are normally small."""
    level: Share = 0.0
    """A retrain starts if the largest effect of the drift is at least this share of the rows; 0: at any drift."""
    rows: Positive = 20_000
    """At most this many new rows, drawn at random, go through the model. Columns are counted in all rows."""
    reference_rows: Positive = 10_000
    """At most this many calibration and test rows go through the model for the reference."""


class TrackingSection(Section):
    """Where runs are recorded. The environment variable MLFLOW_TRACKING_URI overrides `uri`."""

    uri: str = "sqlite:///mlruns/mlflow.db"
    """Tracking store: a database (sqlite, postgresql), or the address of a tracking server."""
    experiment: str = "varjepa"
    """Name of the experiment that groups the runs."""
    artifacts: Annotated[str, Field(min_length=1)] | None = None
    """Where a new experiment stores its artifacts: a folder, or a URI that MLflow supports (s3, gs, wasbs, sftp).

    If not given, a tracking server decides. Other stores use the folder `artifacts` beside the database, or in mlruns.
    """
