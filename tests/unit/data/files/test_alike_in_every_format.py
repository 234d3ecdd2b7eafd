"""What a cell means does not depend on the format of its table: gap words, days, times of day."""

from collections.abc import Callable
from datetime import date, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import create_engine

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.data.read.sources import open_path
from varjepa.data.spelling.readers import native_numbers
from varjepa.tasks.setup.initialise import initialise
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


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_has_the_same_gaps(form: str, tmp_path: Path) -> None:
    path = written(tmp_path, form)
    frame = cells(path)
    assert frame["kind"].to_list() == GAPS
    assert frame["label"].null_count() == ROWS // 3
    assert frame["number"].to_list()[:4] == [1.5, 2.0, None, 4.0]
    kept = cells(path, columns={"kind": {"not_gaps": ["NA"]}})
    assert kept["kind"].null_count() == ROWS // 3
    assert cells(path, na_values=[""])["kind"].null_count() == 0


@pytest.mark.parametrize("form", ["parquet", "db"])
def test_init_says_which_words_are_gaps(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    started = initialise(written(tmp_path, form), label=None, out=Path("job.yaml"), force=False)
    assert '"?" (10 cells), "NA" (10 cells), "None" (10 cells)' in started.doubts["kind"]
    assert started.profiles["kind"].missing == ROWS // 2


@pytest.mark.parametrize("form", WRITERS)
def test_a_model_has_the_gaps_it_learned_in_tables_of_every_format(form: str, tmp_path: Path) -> None:
    data = DataSection(path=written(tmp_path, "csv"), label="label", kinds={"note": "text"})
    learned = fit(open_path(str(data.path), data).frame, data, PreprocessSection(text_dimensions=2))
    kind = next(each for each in learned.categorical if each.name == "kind")
    # As features see it: a finished model reads the words of a file itself, and requests have no file.
    for given in (TABLE, cells(written(tmp_path, form))):
        codes = given.lazy().select(kind.encode(dict(given.schema))).collect()["kind"]
        assert (codes == 0).to_list() == [word is None for word in GAPS]
        numbers = given.select(learned.derived[0].read(given.schema["note"]).alias("text"))["text"].struct[0]
        assert numbers.null_count() == ROWS // 4
        labels = given.select(learned.label.encode(dict(given.schema))).to_series()
        assert labels.null_count() == ROWS // 3


def test_a_word_that_was_learned_as_a_value_stays_one() -> None:
    data = DataSection(path="t.parquet", columns={"kind": {"not_gaps": ["NA", "?", "None"]}})
    learned = fit(TABLE.lazy(), data, PreprocessSection(text_dimensions=0))
    kind = next(each for each in learned.categorical if each.name == "kind")
    codes = TABLE.select(kind.encode(dict(TABLE.schema)))["kind"]
    assert 0 not in codes.to_list()


DAY = date(2024, 2, 28)
MOMENTS = pl.DataFrame({
    "day": [DAY + timedelta(days=row) for row in range(ROWS)],
    "clock": [time(row % 24, 7 * row % 60, 38) for row in range(ROWS)],
})  # fmt: skip
SECONDS = [clock.hour * 3600 + clock.minute * 60 + clock.second for clock in MOMENTS["clock"]]


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "db"])
def test_days_are_days_and_times_of_day_are_seconds(form: str, tmp_path: Path) -> None:
    frame = cells(written(tmp_path, form, MOMENTS))
    assert frame["day"].equals(MOMENTS["day"])
    assert frame["clock"].to_list() == SECONDS


def test_a_moment_of_a_sheet_keeps_its_day_and_its_time(tmp_path: Path) -> None:
    moments = pl.DataFrame({"at": ["2024-02-28 00:00", "2024-02-28 08:30"]}).with_columns(
        pl.col("at").str.to_datetime()
    )
    assert cells(written(tmp_path, "xlsx", moments))["at"].equals(moments["at"])


def test_seconds_are_whole_wherever_the_time_is() -> None:
    every = pl.Series(range(86_400))
    for times in ((every * 10**9).cast(pl.Time), (every * 10**6).cast(pl.Duration("us"))):
        assert (native_numbers(times) == every).all()


MANY = TABLE.with_columns(MOMENTS["day"]).with_columns(
    pl.Series("yes", [(True, False, None)[row % 3] for row in range(ROWS)]),
    pl.Series("truth", [("true", "false")[row // 2 % 2] for row in range(ROWS)]),
    pl.Series("euro", [("1.234,5", "3,2", "17,0", "0,5")[row % 4] for row in range(ROWS)]),
    pl.Series("percent", [("45%", "7%", "12.5%")[row % 3] for row in range(ROWS)]),
    pl.Series("whole", [(None, 1, 2, 3, 2**53 + 1)[row % 5] for row in range(ROWS)]),
    pl.Series("real", [(None, 1.5, 3e-7, 1e12)[row % 4] for row in range(ROWS)]),
    pl.Series("code", [f"{row % 7:04d}" for row in range(ROWS)]),
)


@pytest.mark.slow
@pytest.mark.parametrize("learned", WRITERS)
def test_rows_are_encoded_alike_whatever_format_a_model_learned_from(learned: str, tmp_path: Path) -> None:
    places = {form: written(tmp_path, form, MANY) for form in WRITERS}
    section = DataSection(path=places[learned], label="label")
    with opened_table(section, quiet=True) as source, reads(section):
        told = section.model_copy(update={"columns": source.columns})
        model = fit(source.frame, told, PreprocessSection(min_count=1))
        expected = model.encode(source.frame, with_label=True).collect()
    for path in places.values():
        other = told.model_copy(update={"path": path})
        with opened_table(other, model.text, quiet=True) as source, reads(other):
            assert_frame_equal(model.encode(source.frame, with_label=True).collect(), expected)
