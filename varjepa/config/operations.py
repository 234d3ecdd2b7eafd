"""Sections about releasing and monitoring: the gate, the registry, drift, the tracking store."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from varjepa.config.base import LARGE, OPERATIONAL, Positive, Section, Share
from varjepa.config.durations import duration
from varjepa.config.uris import OBJECTS
from varjepa.redaction import VARIABLE

PLACE_OF_WORK = re.compile(rf"(?:(?:{'|'.join(OBJECTS)})://[^\s/?#${{}}]+(?:/[^\s?#${{}}]*)?|file:///[^?#${{}}]+)")
"""The folder of an object store, or a folder that several machines mount."""

Limit = Annotated[float, Field(ge=0, le=LARGE)] | None


class GateSection(Section):
    """When a new version becomes the champion; see the page on the gate. A limit that is null has no veto."""

    promote_first: bool = True
    """If the registered name has no champion yet, give the alias `champion` to the new version, unless a veto that
    needs no champion fires."""
    metric: Literal["auto", "accuracy", "log_loss", "squared_error", "elbo"] = "auto"
    """Metric that compares challenger and champion row by row. auto: accuracy for classification, squared_error for
    regression, elbo without a label (var_t_jepa only). A metric that does not fit the label is replaced by that of
    auto."""
    margin: Annotated[float, Field(ge=0, le=LARGE)] | None = None
    """A challenger is "not worse" if its mean gain is shown to be above minus this margin. Its unit: points of
    accuracy (null: 0.01), nats of log loss or ELBO per row (null: 0.02), or shares of the champion's squared error
    (null: 0.05)."""
    approve: Literal["gate", "person"] = "gate"
    """Who decides about a version that passes the gate. person: it gets the alias `pending` and waits for `varjepa
    approve` or `varjepa reject`."""
    approve_within: str = "7d"
    """How long such a version waits. After that only `varjepa promote` makes it the champion."""
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Confidence level of the interval; (1 - level) / 2 is the error of the comparison, and of all tests of one veto
    together."""
    rows: Annotated[int, Field(ge=50, le=1_000_000_000)] = 20_000
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

    @field_validator("approve_within")
    @classmethod
    def _is_a_duration(cls, text: str) -> str:
        duration(text)
        return text

    @property
    def risk(self) -> float:
        """One-sided error of the comparison, and of all tests of one veto together."""
        return (1 - self.level) / 2


EVENT = Literal["failed", "contract", "promoted", "refused", "pending", "drift", "skipped", "silent"]
"""What messages are sent about."""


class NotifySection(Section):
    """Messages about some events to some addresses (docs/notifications.md)."""

    events: Annotated[tuple[EVENT, ...], Field(min_length=1)] = (
        "failed", "contract", "promoted", "refused", "pending", "drift", "silent",
    )  # fmt: skip
    """failed: a run failed. contract: the data broke its contract. promoted: there is a new champion. refused: the gate
    or a person refused a version. pending: a version waits for approval. drift: new rows have drifted up to the level.
    skipped: a scheduled run had nothing to do. silent: a schedule has not run when it should have."""
    urls: Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,99}$")] = "VARJEPA_NOTIFY_URLS"
    """Name of the variable of the environment that holds the addresses, as the package apprise reads them, separated by
    blanks. Addresses hold secrets, so they cannot stand in a config."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Seconds after which a run goes on although a service has not answered."""


class RegistrySection(Section):
    """Where the model is registered."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/:.%\"'@\x00-\x1f\x7f]+$")] = "varjepa"
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
    """At most this many calibration and test rows go through the model for the reference; of tables of hundreds of
    columns no more than have 4 million cells."""


class WatchSection(Section):
    """What `varjepa watch` does on its schedule (docs/drift.md)."""

    path: Annotated[str, Field(min_length=1)] | None = None
    """New rows that are compared with the champion: a file, folder, glob or URI as in `data.path`, also with
    `{{ run_date }}`. null: what lies at `data.path` by then."""
    query: str | None = None
    """Query of a database in `path`."""
    retrain: bool = False
    """Run this job if drift reaches `drift.level`."""
    silent_after: str | None = None
    """Age of the last retrain of this model, such as 2d, from which people get the message `silent`; null: never."""

    @field_validator("silent_after")
    @classmethod
    def _is_a_duration(cls, text: str | None) -> str | None:
        if text is not None:
            duration(text)
        return text


class TrackingSection(Section):
    """Where runs are recorded. The environment variable MLFLOW_TRACKING_URI overrides `uri`."""

    instead_of_secrets: ClassVar[str] = (
        "Leave it out, and set a variable of the environment: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
        "or MLFLOW_TRACKING_TOKEN, for a tracking server; PGPASSWORD for PostgreSQL, or its file ~/.pgpass; the usual "
        "ones of an artifact store, such as AWS_SECRET_ACCESS_KEY; or MLFLOW_TRACKING_URI for the whole URI"
    )

    uri: Annotated[str, Field(min_length=1)] = "sqlite:///mlruns/mlflow.db"
    """Tracking store: a database (sqlite, postgresql), or the address of a tracking server. Without a password; see
    the page on secrets."""
    experiment: Annotated[str, Field(min_length=1, max_length=500)] = "varjepa"
    """Name of the experiment that groups the runs."""
    patience: Annotated[float, Field(ge=0, le=86_400), OPERATIONAL] = 120.0
    """Seconds to wait for a tracking store that does not answer. After that the command ends with exit code 1, and the
    next start resumes its run."""
    artifacts: Annotated[str, Field(min_length=1)] | None = None
    """Where a new experiment stores its artifacts: a folder, or a URI that MLflow supports (s3, gs, wasbs, sftp).

    If not given, a tracking server decides. Other stores use the folder `artifacts` beside the database, or in mlruns.
    """

    @field_validator("uri", "artifacts")
    @classmethod
    def _written_out(cls, value: str | None) -> str | None:
        if value is not None and VARIABLE.search(value):
            raise ValueError(f"tracking holds {value}, but variables are not put in there. {cls.instead_of_secrets}")
        return value


class WorkSection(Section):
    """Where other machines find the results of finished steps, and checkpoints (docs/machines.md)."""

    instead_of_secrets: ClassVar[str] = (
        "Leave it out, and put it into the variables of the environment that the store is opened with, such as "
        "AWS_SECRET_ACCESS_KEY"
    )

    uri: str | None = None
    """A folder of an object store (`s3://bucket/folder`, gs, az), or one that all machines mount (`file:///folder`).
    The environment variable VARJEPA_WORK_URI overrides it. null: results stay on this machine, in `mlruns/work`."""
    lost_after: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    """Seconds without a sign of life after which another machine goes on with the work of this one."""
    checkpoint_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """Least time between two uploads of a checkpoint, in seconds. The last one is always uploaded."""

    machines: Annotated[int, Field(ge=1, le=1000)] = 1
    """Machines that train together, each with `training.devices` processes. The others wait with `varjepa join`. If one
    is lost, the training goes on without it from the last checkpoint. Results are equal up to rounding."""
    join_within: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """Seconds to wait for the others; then the training begins with those that have come."""
    address: str | None = None
    """Name or address of this machine for the others. null: the one that it reaches the tracking server from."""

    @field_validator("uri")
    @classmethod
    def _is_a_folder(cls, uri: str | None) -> str | None:
        if uri is not None and not PLACE_OF_WORK.fullmatch(uri):
            raise ValueError(f"work.uri is {uri}, but it should be s3://BUCKET/FOLDER, gs://, az:// or file:///FOLDER")
        return uri


class RetentionSection(Section):
    """What a scheduled run removes after it has ended well. Without limits, nothing (see the page on operations)."""

    keep: Positive | None = None
    """Newest versions of the registered model that stay, with their runs and artifacts; null: all. Versions with an
    alias, the champion and the one before it always stay."""
    older: str | None = None
    """Age, such as 30d or 12h. What was used later stays: intermediate results, flow runs of Prefect, versions beyond
    `keep`, runs that made no version. null: the age of versions and runs does not matter, and anything else is removed
    after 30d."""

    @field_validator("older")
    @classmethod
    def _is_a_duration(cls, text: str | None) -> str | None:
        if text is not None:
            duration(text)
        return text

    @property
    def active(self) -> bool:
        """Whether anything is to be removed."""
        return self.keep is not None or self.older is not None
