"""Sections about the table: its source, its contract, its encoding."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from varjepa.config.base import LARGE, OPERATIONAL, NonNegative, Positive, Rows, Section, Seed, Share, Workers
from varjepa.config.uris import DATABASES, SCHEMES, fragment, is_local, scheme_of
from varjepa.errors import listed, nearest

KIND = Literal["numeric", "categorical", "boolean", "date", "text", "identifier"]
"""Kinds that a user can declare for a column. Constant and empty columns are detected, never declared."""


class SplitSection(Section):
    """How rows are split into training, validation, calibration and test parts."""

    by: Literal["random", "hash", "column", "time"] = "random"
    """random: drawn with `seed`. hash: by a hash of the row's cells in `columns` and `seed`, so that a row stays in its
    part when the table grows or its label arrives, and copies of a row are in the same part. column: `column` holds the
    words train, validation, calibration and test. time: the oldest rows are for training."""
    column: str | None = None
    """The column that holds the part (by: column; calibration may be absent) or the time (by: time). For by: hash, the
    only column to hash, such as a customer number, so that all rows of a customer are in one part; it is no
    feature. Of a row without a number, `columns` are hashed."""
    columns: tuple[str, ...] | Literal["all"] | None = None
    """The columns to hash (by: hash). null: all but the label, `data.drop` and columns that identify rows; a finished
    model records them. `init` lists them, so that later columns move no row. all: every column, also the label, and of
    a row without a value in `column` nothing; the rule of models that were made before this key existed."""
    keep_time: bool = False
    """By: time, whether `column` itself is a feature. false: of a date its hour, weekday and month are read, as far as
    they repeat. All rows of the other parts, and all later ones, lie beyond the moments of training; a model that reads
    them finds every later batch changed."""
    seed: Seed = 0
    """Seed of the random and the hash split, and of the random sample of `data.rows`."""
    seen: Literal["train", "all"] = "train"
    """Rows that preprocessing and pretraining use. all: validation and test rows as well, without their labels (the
    paper's transductive protocol, for comparisons)."""
    train: Share = 0.6
    """Share of rows for training (by: random, hash and time)."""
    validation: Share = 0.1
    """Share of rows for validation. They select the epoch, the penalty, the temperature and the uncertainty measure."""
    calibration: Share = 0.1
    """Share of rows for calibration. They are used for the certificate, the imputation intervals and the drift
    reference, never to train or to choose. The remaining rows are the test part. With 0 there is no certificate (the
    benchmark does this for the paper's 70/10/20 split)."""

    @property
    def clock(self) -> str | None:
        """The column whose moments are no feature, as the parts follow them; None for other splits."""
        return self.column if self.by == "time" and not self.keep_time else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.by in ("column", "time") and not self.column:
            raise ValueError(f"split.by is {self.by}, which needs split.column")
        if self.columns == ():
            raise ValueError("split.columns is empty: list the columns to hash, or leave it out")
        # Rounded: 0.7 + 0.2 + 0.1 is a little less than 1, and would leave a single row.
        if not 0 < self.train < 1 or round(self.train + self.validation + self.calibration, 9) >= 1:
            raise ValueError(
                "split.train must lie between 0 and 1, and the shares together must leave rows for the test part"
            )
        return self


def _as_format(value: Any) -> Any:
    """YAML reads 1234.5 as a number."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class ColumnSection(Section):
    """How the cells of a column are spelled. `init` and `retrain` find it out; what stands here wins."""

    format: Annotated[str | tuple[str, ...] | None, BeforeValidator(_as_format)] = None
    """null: found out from all cells. For numbers, how 1234.5 is written, such as `1.234,5`. For dates, `strptime`
    patterns such as `%d.%m.%Y`, the first that fits a cell. text: cells stay as they are. See the page on tables."""
    gaps: tuple[str, ...] = ()
    """Words that mean a missing cell in this column, beside `data.na_values`."""
    not_gaps: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Words of `data.na_values` that are values in this column, such as None for a house without veneer. The column is
    then one of words."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        """People expect `date_format` for dates."""
        if isinstance(content, dict) and "date_format" in content and "format" not in content:
            return {key.removeprefix("date_"): value for key, value in content.items()}
        return content


def _as_date(value: Any) -> Any:
    """A text such as 2026-05-31 as a date, because JSON has no dates and databases do not compare dates with text."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"there is no day {value}") from None


def _as_version(value: Any) -> Any:
    """A version that was written as text as a number, and a day or time that YAML has read as text again."""
    if isinstance(value, date):
        return value.isoformat()
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


Parameter = Annotated[bool | int | float | date | str | None, BeforeValidator(_as_date)]
Version = Annotated[int | str | None, BeforeValidator(_as_version)]


class DataSection(Section):
    """The source of the table and the meaning of its columns."""

    path: Annotated[Annotated[str, Field(min_length=1)] | None, OPERATIONAL] = None
    """A file of delimited text, Parquet, Arrow, Excel or JSON lines, also compressed, or a folder or glob of files of
    one of those formats; or a URI: `s3://`, `gs://`, `az://`, `https://`, `delta://`, `iceberg://`, `postgresql://`,
    `mysql://`, `sqlite://`, `duckdb://`, `mssql://` (`#TABLE` at the end names a table of a database). `${NAME}` is a
    variable of the environment, `{{ run_date }}` the day of the run. Overrides `name`."""
    query: Annotated[str | None, OPERATIONAL] = None
    """A SELECT whose rows are the table, if `path` is a database. `:name` stands for a value of `parameters`."""
    parameters: Annotated[dict[str, Parameter], OPERATIONAL] = {}
    """Name -> value in `query`. The driver passes values on their own, never as a part of the text. A text such as
    2026-05-31 is a date, and `{{ run_date - 7d }}` a week before the run."""
    at: Annotated[Version, OPERATIONAL] = None
    """Version of a Delta table, snapshot of an Iceberg table, or a time such as 2026-05-31T12:00:00Z for both. null:
    the newest."""
    name: str | None = None
    """`sim` for the built-in table, otherwise the name of an OpenML data set (needs a network)."""
    version: Positive = 1
    """Version of the OpenML data set."""
    label: str | None = None
    """Column that the probe predicts. Never a feature, and not needed to learn the embedding."""
    task: Literal["auto", "classification", "regression", "none"] = "auto"
    """auto: classification for text, booleans and whole numbers with few values, otherwise regression."""
    rows: Rows | None = None
    """Use at most this many rows, drawn at random with `split.seed`; for `sim`, the number to generate."""
    rename: dict[str, str] = {}
    """Old name -> new name of columns. Old names that do not occur are ignored, because sources name labels
    differently."""
    noise: Share = 0.0
    """Blends row i with uniform noise by noise * u_i, u_i ~ U(0, 1), in all numeric columns except the label (the paper
    corrupts MNIST by 0.75). u_i becomes the column `ambiguity`; list it in `drop`."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    kinds: dict[str, KIND] = {}
    """Column -> kind, for columns whose inferred kind is wrong."""
    columns: dict[str, ColumnSection] = {}
    """Column -> how its cells are spelled, for columns whose numbers, dates or gaps are not in the plain spelling."""
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Field separator of text files; a blank means runs of blanks. If not given, it is inferred from the first rows."""
    quote: Annotated[str, Field(max_length=1)] | None = None
    """Quote character of text files; an empty text for none. If not given, it is inferred."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """Start of lines of text files to leave out. If not given, lines with # before the header set it to #."""
    encoding: str | None = None
    """Character encoding of text files, such as cp1252. If not given, it is detected."""
    skip_lines: NonNegative | None = None
    """Lines before the header of text files. If not given, they are found by their number of cells."""
    header: bool | None = None
    """false: text files and spreadsheets have no header, and columns are named column_1, column_2, ... true: the first
    line is the header even if it looks like values. If not given, such a line stops the run."""
    sheet: str | None = None
    """Sheet of spreadsheets. If not given, the first that is not empty."""
    na_values: tuple[str, ...] = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
    """Words that mean a missing cell, as they are written, in text files and in columns of text of every other format.
    `columns.NAME.not_gaps` keeps them in one column."""
    split: SplitSection = SplitSection()
    """How rows are split into training, validation, calibration and test parts."""

    def gap_words(self, name: str) -> tuple[str, ...]:
        """The words of `na_values` that are gaps in a column of text; blank cells always are.

        Args:
            name: of the column, after `rename`.

        Examples:
            >>> data = DataSection(path="a", na_values=("", "?", "None"), columns={"veneer": {"not_gaps": ["None"]}})
            >>> data.gap_words("veneer"), data.gap_words("other")
            (('?',), ('?', 'None'))
        """
        kept = self.columns[name].not_gaps if name in self.columns else ()
        return tuple(word for word in self.na_values if word.strip() and word not in kept)

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        path = self.path or ""
        if (scheme := scheme_of(path)) and scheme not in SCHEMES:
            raise ValueError(
                f'data.path begins with "{scheme}://", which is not known. '
                + (nearest(scheme, SCHEMES) or f"Known: {listed(SCHEMES, 20)}")
            )
        if self.query is not None and is_local(path):
            raise ValueError("data.query needs the URI of a database in data.path, such as postgresql://HOST/DATABASE")
        if scheme in DATABASES and (self.query is None) == (not fragment(path)):
            raise ValueError(
                f"data.path is a database ({scheme}), which needs either data.query or a table: data.path ending in "
                "#TABLE"
            )
        if "{{" in (self.query or ""):
            raise ValueError("data.query holds a template; write :day there, and the template in data.parameters")
        if self.parameters and self.query is None:
            raise ValueError("data.parameters are values for data.query, which is missing")
        return self

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path is None and self.name is None:
            raise ValueError("data needs a path (a file, folder or glob) or a name (sim, or an OpenML data set)")
        if self.label is not None and self.label in self.drop:
            raise ValueError(f'data.drop names the label "{self.label}"')
        if self.label is not None and isinstance(columns := self.split.columns, tuple) and self.label in columns:
            raise ValueError(
                f'split.columns names the label "{self.label}", and a label that arrives later would move its row'
            )
        return self


class ContractSection(Section):
    """The contract that the data must meet before anything is trained."""

    path: Annotated[str | None, OPERATIONAL] = None
    """Data contract (YAML, see `varjepa init`). Without one, only the requirements of training are checked."""


MOST_BINS = 1000
"""Largest `preprocess.n_bins`."""


class PreprocessSection(Section):
    """How cells are encoded as numbers. Statistics come from training rows only."""

    numeric: Literal["auto", "standard", "quantile"] = "auto"
    """standard: mean 0, standard deviation 1. quantile: normal scores by piecewise-linear quantiles. auto: quantile for
    skewed or heavy-tailed columns, standard for the others."""
    n_quantiles: Annotated[int, Field(ge=3, le=10_000)] = 256
    """Knots of the quantile transformation."""
    n_bins: Annotated[int, Field(ge=0, le=MOST_BINS)] = 16
    """Bins of the values of a numeric column in which few values hold at least half of the rows, such as an amount that
    is mostly zero: its tokens are then piecewise linear. 0: one line for every column, as published."""
    clip: Annotated[float, Field(gt=0, le=LARGE)] = 8.0
    """Standardised values are clipped to plus and minus this many standard deviations."""
    one_hot: Literal["join", "keep"] = "join"
    """join: neighbouring 0/1 columns of which every training row has exactly one set become one categorical feature,
    except columns in `data.kinds`. keep: each of them stays a separate feature."""
    min_count: Positive = 5
    """Categories that occur fewer times than this in the training rows share one reserved code with unseen
    categories."""
    max_categories: Annotated[int, Field(ge=1, le=10_000_000)] = 1000
    """At most this many categories per column get their own code."""
    text_dimensions: Annotated[int, Field(ge=0, le=10_000)] = 16
    """Numbers that each text column becomes (names, addresses, and categories of which many are rare): an embedding of
    their words and n-grams of characters. 0: text columns are left out, rare categories share one code."""
    date_parts: bool = True
    """Whether month, weekday and hour of dates become features beside the date, where they vary."""
    runner: Annotated[Literal["none", "processes", "threads", "dask"], OPERATIONAL] = "none"
    """none: this process reads the rows as a stream. Otherwise processes or threads of this machine, or a Dask cluster,
    fit and encode partitions of the rows. The result is the same."""
    workers: Annotated[Workers, OPERATIONAL] = 0
    """Partitions processed in parallel; 0: one per core."""
    dask_address: Annotated[str | None, OPERATIONAL] = None
    """Scheduler of a running Dask cluster (runner: dask). If not given, a local cluster is started."""
    partition_rows: Annotated[Rows, OPERATIONAL] = 1_000_000
    """Approximate number of rows of a partition. Smaller tables stay in this process. A worker holds one partition."""
