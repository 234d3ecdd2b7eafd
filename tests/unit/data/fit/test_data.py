"""Kinds, preprocessing and splits: every edge a person's table may have."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.column_profile import profile
from varjepa.data.read.sim_table import sim_table
from varjepa.errors import DataError

N = 200


def frame(**columns: object) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    base = {"number": rng.normal(size=N), "text": rng.choice(["a", "b", "c"], N)}
    return pl.DataFrame(base | columns)


def fitted(table: pl.DataFrame, data: DataSection | None = None, **settings: object) -> Preprocessor:
    return fit(table.lazy(), data or DataSection(name="sim"), PreprocessSection(**settings))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(N) * 0.5, "numeric"),
        ([1.5, None] * (N // 2), "constant"),
        ([0, 1] * (N // 2), "boolean"),
        ([0.0, 1.0, None, 1.0] * (N // 4), "boolean"),
        ([True, False] * (N // 2), "boolean"),
        ([f"k{i}" for i in range(N)], "identifier"),
        (list(range(1000, 1000 + N)), "identifier"),
        (["x", "y"] * (N // 2), "categorical"),
        ([date(2020, 1, 1) + timedelta(days=i) for i in range(N)], "date"),
        ([datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(N)], "date"),
        ([None] * N, "empty"),
        ([float("nan"), float("inf")] * (N // 2), "empty"),
        ([7] * N, "constant"),
        ([[1, 2]] * N, "nested"),
        (["1", "2", "x", "y"] * (N // 4), "categorical"),
    ],
)
def test_kinds(values: object, kind: str) -> None:
    facts = profile(pl.DataFrame({"column": values}, strict=False).lazy())["column"]
    assert facts.kind == kind
    assert bool(facts.left_out) == (kind in ("constant", "empty", "identifier", "nested"))


def test_an_id_column_in_any_order_is_an_identifier_and_may_be_declared_otherwise() -> None:
    table = frame(customer_id=np.random.default_rng(0).permutation(10 * N)[:N])
    assert fitted(table).left_out == {"customer_id": "it identifies rows"}
    kept = fitted(table, DataSection(name="sim", kinds={"customer_id": "numeric"}))
    assert "customer_id" in kept.names


def test_text_in_a_numeric_column_is_an_error_that_shows_it() -> None:
    values = [str(i * 0.37) for i in range(N - 1)] + ["twelve"]
    with pytest.raises(DataError, match=r'"column" holds text in 1 of 200 cells, for example "twelve"'):
        profile(pl.DataFrame({"column": values}).lazy())
    assert profile(pl.DataFrame({"column": values}).lazy(), {"column": "categorical"})["column"].kind == "categorical"


def test_codes_missing_rare_unseen_and_known() -> None:
    words = ["common"] * 100 + ["usual"] * 96 + ["rare"] * 3 + [None]
    preprocessor = fitted(frame(word=words), min_count=5)
    new = frame(word=["common", "usual", "rare", "never seen", None] * (N // 5))
    codes = preprocessor.encode(new.lazy()).collect()["word"].head(5).to_list()
    assert codes == [2, 3, 1, 1, 0]
    assert preprocessor.sizes.cardinalities == [5, 4]


@pytest.mark.parametrize("stored", [pl.Int64, pl.Float64, pl.String, pl.Boolean])
def test_booleans_read_the_same_however_they_are_stored(stored: type[pl.DataType]) -> None:
    preprocessor = fitted(frame(flag=[0, 0, 1, 0] * (N // 4)))
    new = frame(flag=pl.Series([1, 0, None, 1] * (N // 4)).cast(stored))
    assert preprocessor.encode(new.lazy()).collect()["flag"].head(4).to_list() == [3, 2, 0, 3]
    no_words = frame(text=new["flag"]) if stored == pl.Boolean else frame(text=["x", "y", None, "1"] * (N // 4))
    assert preprocessor.encode(no_words.with_columns(flag=1).lazy()).collect()["text"].head(4).to_list() == [1, 1, 0, 1]


def test_standard_and_quantile_transformations() -> None:
    rng = np.random.default_rng(1)
    skewed = np.exp(2 * rng.normal(size=N))
    table = frame(skewed=skewed)
    by_name = {f.name: f for f in fitted(table).numeric}
    assert by_name["number"].transform == "standard"
    assert by_name["skewed"].transform == "quantile"
    encoded = fitted(table).encode(table.lazy()).collect()
    for name in ("number", "skewed"):
        assert abs(encoded[name].mean()) < 0.05
        assert abs(encoded[name].std() - 1) < 0.05
    assert (encoded["skewed"].arg_sort() == table["skewed"].arg_sort()).all()
    far = frame(skewed=np.full(N, 1e12), number=np.full(N, -1e12))
    clipped = fitted(table).encode(far.lazy()).collect()
    assert clipped["number"][0] == -8.0
    assert clipped["skewed"][0] == pytest.approx(encoded["skewed"].max(), abs=1e-6)


def test_missing_values_of_every_sort_are_unobserved() -> None:
    preprocessor = fitted(frame(more=np.linspace(0, 1, N)))
    encoded = preprocessor.encode(frame(more=[None, float("nan"), float("-inf"), 2.5] * (N // 4)).lazy()).collect()
    observed = to_tensors(encoded, preprocessor).observed[:, preprocessor.names.index("more")]
    assert observed[:4].tolist() == [False, False, False, True]


def test_dates_become_days() -> None:
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(N)]
    preprocessor = fitted(frame(day=days))
    feature = next(f for f in preprocessor.numeric if f.name == "day")
    assert feature.kind == "date"
    assert feature.mean == pytest.approx(18262 + (N - 1) / 2)
    as_text = preprocessor.encode(frame(day=[str(day) for day in days]).lazy()).collect()
    assert as_text.equals(preprocessor.encode(frame(day=days).lazy()).collect())


@pytest.mark.parametrize(
    ("label", "task", "classes"),
    [
        (["no", "yes"] * (N // 2), "classification", ("no", "yes")),
        ([10, 2] * (N // 2), "classification", ("2", "10")),
        (np.linspace(0, 1, N), "regression", ()),
        ([None, "x", "y", "x"] * (N // 4), "classification", ("x", "y")),
        ([None, True, False, True] * (N // 4), "classification", ("0", "1")),
    ],
)
def test_labels(label: object, task: str, classes: tuple[str, ...]) -> None:
    table = frame(target=label)
    preprocessor = fitted(table, DataSection(name="sim", label="target"))
    assert (preprocessor.label.task, preprocessor.label.classes) == (task, classes)
    assert "target" not in preprocessor.names
    encoded = preprocessor.encode(table.lazy(), with_label=True).collect()[LABEL]
    assert encoded.null_count() == table["target"].null_count()


def test_statistics_come_from_the_rows_given_and_survive_json() -> None:
    preprocessor = fitted(frame(word=["x", "y"] * (N // 2)))
    assert Preprocessor.model_validate_json(preprocessor.model_dump_json()) == preprocessor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": {"text": "numeric"}}, 'The column "text" holds text'),
        ({"drop": ("number", "text")}, "No feature is left"),
    ],
)
def test_unusable_settings(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fitted(frame(), DataSection(name="sim", **change))


def test_a_missing_feature_column_is_named() -> None:
    with pytest.raises(DataError, match=r'The column "number" is missing. Did you mean "numbers"'):
        fitted(frame()).encode(frame().rename({"number": "numbers"}).lazy())


def test_decoded_cells_are_the_column_again() -> None:
    rng = np.random.default_rng(0)
    table = frame(
        whole=rng.integers(-5, 500, N), tiny=pl.Series(rng.integers(0, 9, N), dtype=pl.Int8),
        cents=(rng.exponential(30, N)).round(2), coin=rng.random(N) < 0.5, bit=rng.integers(2, size=N),
        day=[date(2020, 1, 1) + timedelta(days=int(i)) for i in rng.integers(0, 900, N)],
        moment=pl.Series(rng.integers(0, 9000, N) * 3600 * 10**6).cast(pl.Datetime("us")),
        code=rng.choice(["x", "y"], N), number_code=pl.Series(rng.integers(3, size=N), dtype=pl.Int16),
    )  # fmt: skip
    preprocessor = fitted(table, DataSection(name="sim", kinds={"number_code": "categorical"}))
    encoded = to_tensors(preprocessor.encode(table.lazy()).collect(), preprocessor)
    numbers = [f.decode(encoded.numeric[:, j].double().numpy()) for j, f in enumerate(preprocessor.numeric)]
    columns = [f.column(values) for f, values in zip(preprocessor.numeric, numbers, strict=True)]
    for j, feature in enumerate(preprocessor.categorical):
        columns += feature.decode(encoded.codes[:, j].numpy(), {})
    found = pl.DataFrame(columns)
    assert set(found.columns) == set(table.columns) == set(preprocessor.order)
    for name in table.columns:
        assert found[name].dtype == table[name].dtype, name
        if name in ("number", "moment"):  # knots and 32 bits
            gap = (found[name].cast(pl.Float64) - table[name].cast(pl.Float64)).abs().max()
            assert gap < (1e-5 if name == "number" else 3600e6), name
        elif name == "cents":
            assert (found[name] - table[name]).abs().max() < 0.02
            assert ((found[name] * 100).round(6) % 1 == 0).all()
        else:
            assert found[name].equals(table[name]), name
    assert list(preprocessor.order) == table.columns
    # A file may hold as text what were dates in training; text it stays.
    place, day = next((j, f) for j, f in enumerate(preprocessor.numeric) if f.name == "day")
    assert day.column(numbers[place], pl.String()).equals(table["day"].cast(pl.String))


def test_values_beyond_the_training_range_are_measured_in_deviations() -> None:
    preprocessor = fitted(frame(score=np.arange(N) % 11 * 1.0))
    feature = next(f for f in preprocessor.numeric if f.name == "score")
    new = pl.DataFrame({"score": [-1.0, 0.0, 10.0, 10.0 + 2 * feature.std, None]})
    beyond = new.select(feature.outside(new.schema)).to_series().to_list()
    assert beyond == pytest.approx([1 / feature.std, 0, 0, 2, 0], abs=1e-5)


def test_sim_is_seeded_and_its_ambiguity_means_something() -> None:
    table = sim_table(rows=4000, seed=1)
    assert table.equals(sim_table(rows=4000, seed=1))
    assert not table.equals(sim_table(rows=4000, seed=2))
    assert table.width == 34
    numeric = table.select(pl.col("^x\\d+$")).to_numpy()
    labels = table["label"].to_numpy()
    centers = {c: numeric[labels == c].mean(0) for c in "abc"}
    nearest = np.array(list("abc"))[np.argmin([((numeric - centers[c]) ** 2).sum(1) for c in "abc"], axis=0)]
    ambiguous = table["ambiguity"].to_numpy() > 0.5
    assert (nearest == labels)[~ambiguous].mean() > 0.8
    assert (nearest == labels)[ambiguous].mean() < 0.6


def test_many_rows_are_read_as_a_stream_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, n = np.random.default_rng(0), 4000
    frame = pl.DataFrame({
        "number": rng.normal(size=n), "skewed": rng.exponential(size=n).round(2), "count": rng.integers(0, 7, n),
        "identifier": np.arange(n), "constant": np.ones(n), "flag": rng.random(n) < 0.3,
        "word": rng.choice(["a", "b", "c"], n), "label": rng.integers(0, 2, n), "code": rng.choice(["7", "8", "x"], n),
        "late": np.r_[rng.integers(0, 9, 1000), rng.normal(size=n - 1000).round(2)],
        "hollow": rng.normal(size=n).round(1),
    }).with_columns(
        pl.when(pl.col("number") < 1.5).then("number").alias("number"),
        pl.when(pl.col("identifier") > 1000).then("hollow").alias("hollow"),
    )  # fmt: skip
    data, settings = DataSection(path="x.csv", label="label"), PreprocessSection()
    whole = fit(frame.lazy(), data, settings).model_dump()
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.STREAM_ROWS", n - 1)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.GLANCE_ROWS", 1000)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.PIECE_ROWS", 500)
    monkeypatch.setattr("varjepa.data.fit.preprocessor_fit.COLUMNS_AT_ONCE", 2)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.COLUMNS_AT_ONCE", 2)
    streamed = fit(frame.lazy(), data, settings).model_dump()
    assert whole["left_out"].keys() == {"identifier", "constant"}
    for mine, theirs in zip(whole.pop("numeric"), streamed.pop("numeric"), strict=True):
        for name, value in mine.items():
            assert theirs[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float | tuple) else value), name
    assert streamed == whole


def test_of_many_rows_the_kinds_are_those_of_all_and_different_values_are_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng, n = np.random.default_rng(0), 4000
    twice = np.r_[np.arange(n - 1), 0]
    frame = pl.DataFrame({
        "number": rng.normal(size=n), "counter": rng.permutation(n), "twice": rng.permutation(twice),
        "hollow_id": twice, "key": [f"k{k}" for k in rng.permutation(n)],
        "nearly_key": [f"k{k}" for k in rng.permutation(twice)],
        "word": rng.choice(["a", "b", "c"], n), "name": rng.choice([f"n{k}" for k in range(300)], n),
        "flag": rng.integers(0, 2, n), "constant": np.ones(n), "lists": [[1]] * n,
        "day": [date(2020, 1, 1 + k % 28) for k in range(n)], "yes": rng.random(n) < 0.3,
    }).with_columns(
        pl.when(pl.col("number") < 1.5).then("number").alias("number"),
        pl.when(pl.col("hollow_id") > 0).then("hollow_id").alias("hollow_id"),
        empty=pl.lit(None, dtype=pl.Float64),
    )  # fmt: skip
    exact = StreamedRows(frame.lazy()).whole_profiles()
    assert exact == profile(frame.lazy())
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.STREAM_ROWS", 900)
    monkeypatch.setattr("varjepa.data.fit.streamed_rows.GLANCE_ROWS", 400)
    monkeypatch.setattr("varjepa.data.fit.ranges.RANGE_VALUES", 1000)
    found = StreamedRows(frame.lazy()).whole_profiles()
    kinds = {name: facts.kind for name, facts in exact.items()}
    assert kinds["counter"] == kinds["hollow_id"] == kinds["key"] == "identifier"
    assert (kinds["twice"], kinds["nearly_key"]) == ("numeric", "categorical")
    for name, facts in found.items():
        # Estimates were up to 15% off on 10^8 values.
        assert facts.distinct == pytest.approx(exact[name].distinct, rel=0.25), name
        assert replace(facts, distinct=0) == replace(exact[name], distinct=0), name


def test_what_is_learned_in_memory_repeats_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{k}": rng.normal(300, 20, size=400_000) for k in range(6)})
    data, settings = DataSection(path="x.csv"), PreprocessSection()
    assert len({fit(frame.lazy(), data, settings).model_dump_json() for _ in range(6)}) == 1
