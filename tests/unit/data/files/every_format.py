"""A table in every format, and what a model learns from it."""

from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path

import polars as pl
from sqlalchemy import create_engine

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.tasks.sources.open_table import opened_table, reads

ROWS = 60
KINDS = ("a", "?", "b", "NA", "none", " None ")
NOTES = ("it rains", "NA", "the sun shines", "snow falls again")
TABLE = pl.DataFrame({
    "kind": [KINDS[row % 6] for row in range(ROWS)],
    "note": [f"{NOTES[row % 4]} on day {row}" if row % 4 != 1 else "NA" for row in range(ROWS)],
    "number": [("1.5", "2", "?", "4")[row % 4] for row in range(ROWS)],
    "label": [("yes", "no", "?")[row % 3] for row in range(ROWS)],
})  # fmt: skip
GAPS = [None if word.strip() in ("?", "NA", "None") else word for word in TABLE["kind"]]


def _database(frame: pl.DataFrame, path: str) -> None:
    frame.write_database("t", create_engine(f"sqlite:///{path}").connect(), engine="sqlalchemy")


WRITERS: dict[str, Callable[[pl.DataFrame, str], object]] = {
    "csv": pl.DataFrame.write_csv,
    "parquet": pl.DataFrame.write_parquet,
    "arrow": pl.DataFrame.write_ipc,
    "jsonl": pl.DataFrame.write_ndjson,
    "xlsx": pl.DataFrame.write_excel,
    "db": _database,
}


def written(folder: Path, form: str, frame: pl.DataFrame = TABLE) -> str:
    """The table in a file of this format: the path of the file, or its URI."""
    path = folder / f"t.{form}"
    WRITERS[form](frame, str(path))
    return f"sqlite:///{path}#t" if form == "db" else str(path)


def cells(path: str, **data: object) -> pl.DataFrame:
    section = DataSection(path=path, **data)
    with opened_table(section, quiet=True) as source, reads(section):
        return source.frame.collect()


DAY = date(2024, 2, 28)
MOMENTS = pl.DataFrame({
    "day": [DAY + timedelta(days=row) for row in range(ROWS)],
    "clock": [time(row % 24, 7 * row % 60, 38) for row in range(ROWS)],
})  # fmt: skip
SECONDS = [clock.hour * 3600 + clock.minute * 60 + clock.second for clock in MOMENTS["clock"]]

MANY = TABLE.with_columns(MOMENTS["day"]).with_columns(
    pl.Series("yes", [(True, False, None)[row % 3] for row in range(ROWS)]),
    pl.Series("truth", [("true", "false")[row // 2 % 2] for row in range(ROWS)]),
    pl.Series("euro", [("1.234,5", "3,2", "17,0", "0,5")[row % 4] for row in range(ROWS)]),
    pl.Series("percent", [("45%", "7%", "12.5%")[row % 3] for row in range(ROWS)]),
    pl.Series("whole", [(None, 1, 2, 3, 2**53 + 1)[row % 5] for row in range(ROWS)]),
    pl.Series("real", [(None, 1.5, 3e-7, 1e12)[row % 4] for row in range(ROWS)]),
    pl.Series("code", [f"{row % 7:04d}" for row in range(ROWS)]),
)


def learned_from(path: str) -> tuple[DataSection, Preprocessor, pl.DataFrame]:
    """The configuration, as a run completes it, the preprocessor that is fitted to a table, and its encoded rows."""
    section = DataSection(path=path, label="label")
    with opened_table(section, quiet=True) as source, reads(section):
        told = section.model_copy(update={"columns": source.columns})
        model = fit(source.frame, told, PreprocessSection(min_count=1))
        return told, model, model.encode(source.frame, with_label=True).collect()
