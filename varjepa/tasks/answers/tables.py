"""What commands answer about the rows of a table: first looks, scores, vectors."""

from typing import NotRequired, TypedDict


class SourcePlan(TypedDict):
    """A table that would be read; null for what shows only when it is."""

    place: str
    files: int | None
    rows: int | None
    unused: list[str] | None


class FilePlan(TypedDict):
    """`--dry-run` of `varjepa score` and other commands over tables; `reads` are the columns that the model reads.

    `left_out` are groups of columns that OUT cannot hold; `action` is write, replace or append.
    """

    dry_run: bool
    model: str
    reads: list[str]
    sources: list[SourcePlan]
    columns: list[str]
    left_out: list[str]
    out: str
    action: str


class FileAnswer(TypedDict):
    """`varjepa score`, `impute` and `sample`.

    `accepted` is a share of the rows, and there where the model has a certificate; `cells` is how many were imputed;
    `files` and `scored` count the files of a folder.
    """

    rows: int
    out: str
    seconds: float
    rows_per_second: int
    accepted: NotRequired[float]
    cells: NotRequired[int]
    files: NotRequired[int]
    scored: NotRequired[int]


class ScoredDayAnswer(TypedDict):
    """A day of `varjepa score --from --to`; `state` is scored, skipped (there is a file) or failed, with the reason."""

    day: str
    state: str
    reason: str
    rows: int
    out: str


class ScoredDaysAnswer(TypedDict):
    """`varjepa score --from --to`: the days, oldest first."""

    days: list[ScoredDayAnswer]
    seconds: float


class SimilarAnswer(TypedDict):
    """`varjepa similar`, `duplicates` and `outliers`.

    `rows` were written; `index` is the folder of the table's index, and `reused` says whether it was there already;
    `queries` counts the rows of QUERY, and `same` those of them whose nearest row is equal, such as themselves.
    """

    rows: int
    table_rows: int
    out: str
    index: str
    reused: bool
    seconds: float
    queries: NotRequired[int]
    same: NotRequired[int]


class ColumnAnswer(TypedDict):
    """A column as `varjepa init` sees it; `missing` is a share of the rows.

    `format` is there for columns that are not in the plain spelling; see `data.columns` of the config.
    """

    kind: str
    missing: float
    distinct: int
    format: NotRequired[str | tuple[str, ...] | None]


class InitAnswer(TypedDict):
    """`varjepa init`: the two files it wrote and what it saw; `obstacles` say why a retrain will refuse the table."""

    config: str
    contract: str
    rows: int
    label: str | None
    columns: dict[str, ColumnAnswer]
    obstacles: list[str]
