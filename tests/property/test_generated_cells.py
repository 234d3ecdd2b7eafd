"""What imputed and drawn cells look like: like cells of the column, and like nobody's own."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.features import NumericFeature
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.preprocessor_fit import fit

DATA = DataSection(name="table")
NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)


def feature(decimals: int | None, std: float = 1.0, dtype: str = "Float64") -> NumericFeature:
    return NumericFeature(
        name="x", dtype=dtype, kind="numeric", transform="standard", mean=0.0, std=std, clip=10.0, smallest=-1e12,
        largest=1e12, decimals=decimals,
    )  # fmt: skip


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.integers(0, 6))
def test_generated_numbers_have_the_decimals_of_the_column(values: list[float], decimals: int) -> None:
    written = feature(decimals).column(np.array(values)).to_numpy()
    np.testing.assert_array_equal(written, written.round(decimals))
    assert (np.abs(written - np.array(values)) <= 0.5000001 * 10.0**-decimals + 1e-3).all()


@given(st.integers(-(10**6), 10**6), st.floats(1e-3, 1e5))
def test_what_the_encoding_loses_is_not_shown(value: int, std: float) -> None:
    made = feature(None, std)
    exact = float(np.round(value * std / 1e5, 4))  # a value that the column may hold, within 10 deviations
    stored = made.decode(np.array([exact / std], dtype=np.float32).astype(float))
    assert made.column(stored)[0] == pytest.approx(exact, abs=std * 10.0**-4)
    digits = 5 - int(np.floor(np.log10(std)))
    assert made.column(stored)[0] == np.round(made.column(stored)[0], digits)


def test_seven_stays_seven() -> None:
    assert feature(None, 1.7).column(np.array([6.999998, 0.1000003])).to_list() == [7.0, 0.1]


@pytest.mark.parametrize("std", [1e-300, 1e300, 5e-324])
def test_numbers_of_any_size_are_written(std: float) -> None:
    assert np.isfinite(feature(None, std).column(np.array([std]))[0])


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e3)), min_size=1, max_size=10), st.integers(0, 6))
def test_rounded_intervals_lose_no_value_of_the_column(ends: list[tuple[float, float]], decimals: int) -> None:
    low, width = (np.array(part) for part in zip(*ends, strict=True))
    made, high = feature(decimals), low + width
    shown_low, shown_high = made.rounded(low), made.rounded(high)
    for value in (np.ceil(low * 10.0**decimals), np.floor(high * 10.0**decimals)):
        inside = (low <= value / 10.0**decimals) & (value / 10.0**decimals <= high)
        kept = (shown_low <= value / 10.0**decimals + 1e-9) & (value / 10.0**decimals - 1e-9 <= shown_high)
        assert (kept | ~inside).all()


def fitted(table: pl.DataFrame, **settings_: object) -> Preprocessor:
    kinds = {"cabin": "categorical"}
    return fit(table.lazy(), DATA.model_copy(update={"kinds": kinds}), PreprocessSection(**settings_))


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.integers(150, 400), st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([1, 5]),
)  # fmt: skip
def test_values_of_single_rows_are_never_drawn(
    rows: int, repeats: int, seed: int, missing: float, min_count: int
) -> None:
    """Cabins: nearly one per row, of which one repeats; whatever share is missing and whatever the vocabulary keeps."""
    rng = np.random.default_rng(seed)
    cabins = np.array([f"B{k}" for k in range(rows)], dtype=object)
    cabins[rng.random(rows) < missing] = None
    cabins[:repeats] = "B96 B98"
    table = pl.DataFrame({
        "cabin": pl.Series(list(cabins), dtype=pl.String), "port": rng.choice(["S", "C", "Q"], rows),
        "fare": rng.normal(size=rows),
    })  # fmt: skip
    preprocessor = fitted(table, min_count=min_count)
    assert "cabin" not in preprocessor.drawn
    assert preprocessor.drawn == ("port", "fare")


@settings(max_examples=30)
@given(st.integers(60, 400), st.integers(2, 8), st.integers(0, 2**31))
def test_categories_of_many_rows_are_drawn(rows: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cabins = [f"deck {k % size}" for k in range(rows)]
    table = pl.DataFrame({"cabin": cabins, "fare": rng.normal(size=rows)})
    assert fitted(table).drawn == ("cabin", "fare")


def test_what_an_old_model_knows_about_rare_categories_counts() -> None:
    table = pl.DataFrame({"cabin": ["a", "b"] * 40, "fare": np.arange(80) / 7})
    old = fitted(table).model_copy(update={"scarce": (), "rare": {"cabin": 0.95}})
    assert old.withheld == {"cabin"}
    assert old.model_copy(update={"rare": {"cabin": 0.2}}).withheld == set()


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 400 * 86_400), min_size=1, max_size=30), st.sampled_from([86_400, 3600, 60, 1]),
    st.integers(0, 2**31),
)  # fmt: skip
def test_dates_are_as_coarse_as_those_of_the_column(seconds: list[int], step: int, seed: int) -> None:
    """Of visits at full hours, samples came as 00:28:48."""
    start = datetime(2023, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    cells = [start + timedelta(seconds=second // step * step) for second in seconds] * 10
    table = pl.DataFrame({"when": cells, "fare": np.random.default_rng(seed).normal(size=len(cells))})
    if table["when"].n_unique() < 2:
        return
    fitted_ = fit(table.lazy(), DATA, PreprocessSection(date_parts=False))
    when = next(feature for feature in fitted_.numeric if feature.name == "when")
    assert when.kind == "date"
    drawn = when.column(np.random.default_rng(seed).uniform(when.smallest, when.largest, 50))
    counted = drawn.cast(pl.Datetime("us")).dt.epoch("us").to_numpy()
    assert (counted % (step * 10**6) == 0).all()


@pytest.mark.parametrize(("microseconds", "text"), [(0, "2023-05-06 07:00:00"), (250_000, "2023-05-06 07:00:00.250")])
def test_times_in_text_have_a_fraction_only_where_there_is_one(microseconds: int, text: str) -> None:
    moment = datetime(2023, 5, 6, 7, 0, 0, microseconds, tzinfo=UTC)
    made = feature(None, 1e-5, "String").model_copy(update={"kind": "date"})
    assert made.column(np.array([moment.timestamp() / 86_400]), pl.String())[0][: len(text)] == text


def test_every_column_of_training_is_drawn_or_said_not_to_be() -> None:
    words = [f"{('good', 'bad', 'late')[i % 3]} {('chair', 'table')[i % 2]} row {i % 190}" for i in range(400)]
    table = pl.DataFrame({
        "id": [f"u{i}" for i in range(400)], "note": words, "port": ["a", "b"] * 200, "fare": np.arange(400) / 7,
        "cabin": [f"c{i // 2}" for i in range(400)],
    })  # fmt: skip
    preprocessor = fitted(table)
    undrawn = preprocessor.undrawn
    assert {*undrawn} | {*preprocessor.drawn} == {*table.columns}
    assert not {*undrawn} & {*preprocessor.drawn}
    assert undrawn["note"] == "it is text"
    assert undrawn["id"] == "it identifies rows"
    assert undrawn["cabin"] == "its values belong to single rows"
