"""Sections about the table: where it comes from, what it promises, how cells become numbers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from varjepa.config.base import OPERATIONAL, NonNegative, Positive, Section, Share

KIND = Literal["numeric", "categorical", "boolean", "date", "identifier"]
"""Kinds that a person can give a column; constant and empty columns are found, not declared."""


class SplitSection(Section):
    """How rows are divided into training, validation and test parts."""

    by: Literal["random", "hash", "column", "time"] = "random"
    """random: by `seed`; hash: by what stands in the row and `seed`, so that a row keeps its part when the table grows,
    and equal rows share one; column: `column` holds the words train, validation, calibration and test; time: oldest
    rows train."""
    column: str | None = None
    """The column that holds the part (by: column; calibration may be absent) or the time (by: time). For by: hash the
    one column to look at, such as a customer's number, whose rows then stay together; null looks at all."""
    seed: NonNegative = 0
    """Seed of the random and hash splits, and of the draw of `data.rows`."""
    seen: Literal["train", "all"] = "train"
    """Rows that preprocessing and pretraining may look at; all: those of validation and test, too, but no labels (the
    paper's transductive protocol, for comparisons)."""
    train: Share = 0.6
    """Share of rows for training (by: random, hash and time)."""
    validation: Share = 0.1
    """Share of rows for validation: they choose epochs, penalties, temperatures and the uncertainty measure."""
    calibration: Share = 0.1
    """Share of rows that nothing but the certificate and the imputation intervals looks at; what is left is the test
    part. 0 trains on more rows and certifies nothing (a benchmark does, for the paper's 70/10/20)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.by in ("column", "time") and not self.column:
            raise ValueError(f"split.by is {self.by}, which needs split.column")
        if not 0 < self.train < 1 or self.train + self.validation + self.calibration >= 1:
            raise ValueError(
                "split.train must lie between 0 and 1, and with the other shares leave rows for the test part"
            )
        return self


class DataSection(Section):
    """Where the table comes from and what its columns mean."""

    path: Annotated[str | None, OPERATIONAL] = None
    """CSV (also .gz), Parquet, Arrow/Feather, a folder or a glob of one of those. Wins over `name`."""
    name: str | None = None
    """`sim` for the built-in table, otherwise the name of an OpenML data set (needs a network)."""
    version: Positive = 1
    """Version of the OpenML data set."""
    label: str | None = None
    """Column to predict by the probe; never a feature, never needed to learn the embedding."""
    task: Literal["auto", "classification", "regression", "none"] = "auto"
    """auto: classification for text, booleans and whole numbers with few values, otherwise regression."""
    rows: Positive | None = None
    """Use at most this many rows, drawn at random with `split.seed`; for `sim`, the number to generate."""
    rename: dict[str, str] = {}
    """New names of columns, where the old ones are there (sources do not agree on the label of a data set)."""
    noise: Share = 0.0
    """Blends row i with uniform noise by noise * u_i, u_i ~ U(0, 1), in all numeric columns but the label (the paper
    corrupts MNIST by 0.75); u_i becomes the column `ambiguity`, which belongs into `drop`."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    kinds: dict[str, KIND] = {}
    """Kinds of columns where the inferred one is wrong."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Field separator of CSV files; found from the header line where not given."""
    na_values: tuple[str, ...] = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    """Texts in CSV files that mean a missing value."""
    split: SplitSection = SplitSection()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path is None and self.name is None:
            raise ValueError("data needs a path (a file, folder or glob) or a name (sim, or an OpenML data set)")
        if self.label is not None and self.label in self.drop:
            raise ValueError(f'data.drop names the label "{self.label}"')
        return self


class ContractSection(Section):
    """Which promises the data must keep before anything is trained."""

    path: Annotated[str | None, OPERATIONAL] = None
    """Data contract (YAML, see `varjepa init`). Without one, only what learning itself needs is checked."""


class PreprocessSection(Section):
    """How cells become numbers; statistics come from training rows only."""

    numeric: Literal["auto", "standard", "quantile"] = "auto"
    """standard: mean 0, deviation 1; quantile: normal scores by piecewise-linear quantiles; auto: quantile where
    a column is skewed or heavy-tailed, standard elsewhere."""
    n_quantiles: Annotated[int, Field(ge=3, le=10_000)] = 256
    """Knots of the quantile transformation."""
    clip: Annotated[float, Field(gt=0)] = 8.0
    """Standardised values beyond this many deviations are clipped."""
    one_hot: Literal["join", "keep"] = "join"
    """join: neighbouring 0/1 columns of which every training row has exactly one set are learned as one categorical
    feature, but for columns in `data.kinds`; keep: each stays a feature of its own."""
    min_count: Positive = 5
    """Categories seen fewer times than this in the training rows share one reserved code with unseen ones."""
    max_categories: Positive = 1000
    """At most this many categories per column keep a code of their own."""
    runner: Annotated[Literal["none", "processes", "threads", "dask"], OPERATIONAL] = "none"
    """none: this process reads the rows as a stream. Otherwise partitions of them are fitted and encoded by processes
    or threads of this machine, or on a Dask cluster, with the same result."""
    workers: Annotated[NonNegative, OPERATIONAL] = 0
    """Partitions at a time; 0: as many as there are cores."""
    dask_address: Annotated[str | None, OPERATIONAL] = None
    """Scheduler of a running Dask cluster (runner: dask); without one a local cluster is started."""
    partition_rows: Annotated[Positive, OPERATIONAL] = 1_000_000
    """About so many rows are in a partition; smaller tables stay in this process. A worker has one in memory."""
