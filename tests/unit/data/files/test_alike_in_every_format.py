"""What a cell means does not depend on the format of its table: gap words, days, times of day."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.unit.data.files.every_format import (
    GAPS,
    MANY,
    MOMENTS,
    ROWS,
    SECONDS,
    TABLE,
    WRITERS,
    cells,
    learned_from,
    written,
)
from varjepa.config import DataSection, PreprocessSection
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.data.read.sources import open_path
from varjepa.data.spelling.readers import native_numbers
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.sources.open_table import opened_table, reads


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


@pytest.mark.slow
@pytest.mark.parametrize("learned", WRITERS)
def test_rows_are_encoded_alike_whatever_format_a_model_learned_from(learned: str, tmp_path: Path) -> None:
    places = {form: written(tmp_path, form, MANY) for form in WRITERS}
    told, model, expected = learned_from(places[learned])
    for path in places.values():
        other = told.model_copy(update={"path": path})
        with opened_table(other, model.text, quiet=True) as source, reads(other):
            assert_frame_equal(model.encode(source.frame, with_label=True).collect(), expected)
