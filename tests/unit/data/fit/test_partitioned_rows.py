"""What is learned from rows in partitions is what is learned from all of them in one place."""

from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from varjepa.config import DataSection, PreprocessSection, SplitSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit import numeric_features, partitioned_rows, ranges
from varjepa.data.fit.merging import Sums, moments
from varjepa.data.fit.partitioned_rows import PartitionedRows
from varjepa.data.fit.preprocessor_fit import fit, fit_rows
from varjepa.data.read.splits import PARTS, assign_parts, part_codes, split_hashes
from varjepa.errors import DataError

N = 1500
DATA = DataSection(name="t", label="label", kinds={"zip": "categorical", "text_numbers": "numeric"})


def table(seed: int = 0, rows: int = N) -> pl.DataFrame:
    """Columns of every kind, with gaps, in no order."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2, rows)
    right = 1 - left
    right[[left.argmin(), left.argmax()]] = 0, 1  # one row with none set, one with two
    colour, many = rng.choice(3, size=rows, p=[0.6, 0.3, 0.1]), (400 * rng.random(rows) ** 3).astype(int)
    columns: dict[str, Any] = {
        "normal": np.where(rng.random(rows) < 0.05, [np.nan, np.inf] * (rows // 2), rng.normal(size=rows)),
        "far": 1e3 + rng.normal(size=rows), "skewed": rng.lognormal(size=rows), "tailed": rng.standard_t(2, rows),
        "cents": rng.gamma(2, 30, rows).round(2), "visits": rng.poisson(4, rows), "age": rng.integers(18, 90, rows),
        "day": pl.Series(rng.integers(15_000, 20_000, rows)).cast(pl.Int32).cast(pl.Date),
        "moment": pl.Series(rng.integers(0, 10**15, rows)).cast(pl.Datetime("us")),
        "coin": rng.random(rows) < 0.3, "bit": rng.integers(0, 2, rows).astype(float),
        "red": (colour == 0).astype(int), "green": (colour == 1).astype(int), "blue": (colour == 2).astype(int),
        "left": left, "right": right,
        "word": rng.choice(["a", "b", "c", "d", "e"], rows, p=[0.5, 0.3, 0.15, 0.048, 0.002]),
        "many": [f"place {number}" for number in many], "zip": rng.integers(0, 90, rows),
        "category": pl.Series(rng.choice(["x", "y", "z"], rows), dtype=pl.Categorical),
        "text_numbers": [f" {number:.3f}" for number in rng.normal(size=rows)],
        "row": np.arange(rows), "customer_id": rng.permutation(5 * rows)[:rows],
        "key": [f"k{number}" for number in rng.permutation(rows)], "shared": rng.permutation(rows) // 2 * 1.0,
        "constant": np.ones(rows), "empty": pl.Series([None] * rows, dtype=pl.String), "list": [[1, 2]] * rows,
        "label": rng.choice(["no", "yes", "perhaps"], rows, p=[0.6, 0.399, 0.001]),
    }  # fmt: skip
    gaps = {name: pl.Series(rng.random(rows) < 0.1) for name in ("skewed", "age", "day", "coin", "many", "label")}
    frame = pl.DataFrame(columns)
    return frame.with_columns(pl.when(~gap).then(name).alias(name) for name, gap in gaps.items())


def cut(frame: pl.DataFrame, seed: int, pieces: int = 6) -> list[Callable[[], pl.LazyFrame]]:
    """Pieces of any length, some without rows."""
    ends = np.sort(np.random.default_rng(seed).integers(0, frame.height + 1, pieces - 2))
    ends = np.concatenate([[0, *ends[:1]], ends, [frame.height]])
    return [partial(frame[low:high].lazy) for low, high in pairwise(ends)]


def in_partitions(frame: pl.DataFrame, seed: int, data: DataSection = DATA, **settings: Any) -> Preprocessor:
    return fit_rows(PartitionedRows(cut(frame, seed)), data, PreprocessSection(**settings))


def same(parted: Preprocessor, whole: Preprocessor) -> None:
    mine, theirs = parted.model_dump(), whole.model_dump()
    for one, other in zip(mine.pop("numeric"), theirs.pop("numeric"), strict=True):
        assert one.pop("std") == pytest.approx(other["std"], rel=1e-12), one["name"]
        assert one.pop("mean") == pytest.approx(other["mean"], rel=1e-12, abs=1e-12 * other.pop("std")), one["name"]
        del other["mean"]
        assert one == other
    assert mine == theirs


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_partitions_teach_what_all_rows_teach(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, settings = table(seed), PreprocessSection(max_categories=50)
    whole = fit(frame.lazy(), DATA, settings)
    assert whole.left_out.keys() == {"row", "customer_id", "key", "constant", "empty", "list"}
    assert whole.joined == {"red..blue": ("red", "green", "blue")}
    kinds = {feature.name: feature.kind for feature in (*whole.numeric, *whole.categorical)}
    assert (kinds["shared"], kinds["many"], kinds["coin"], kinds["day"]) == (
        "numeric",
        "categorical",
        "boolean",
        "date",
    )
    assert {feature.transform for feature in whole.numeric} == {"standard", "quantile"}
    same(in_partitions(frame, seed, max_categories=50), whole)
    # Values that nobody may hold all of, columns in several rounds, quantiles from every third row.
    monkeypatch.setattr(partitioned_rows, "MOST_VALUES", 7)
    monkeypatch.setattr(ranges, "RANGE_VALUES", 40)
    monkeypatch.setattr(partitioned_rows, "COLUMNS_AT_ONCE", 4)
    monkeypatch.setattr(numeric_features, "COLUMNS_AT_ONCE", 2)
    monkeypatch.setattr(numeric_features, "KNOT_ROWS", N // 3)
    same(in_partitions(frame, seed, max_categories=50), fit(frame.lazy(), DATA, settings))


@pytest.mark.slow
@pytest.mark.parametrize(
    "label",
    [
        np.arange(N) % 7, np.arange(N) % 21, np.arange(N) % 7 + 0.5, np.arange(N) % 2 == 0,
        [date(2020, 1, 1), None, date(2021, 1, 1)] * (N // 3), [date(2020, 1, 1)] * N, [None] * N,
        [f"class {number % 90}" for number in range(N)],
    ],
)  # fmt: skip
def test_labels(label: Any) -> None:
    frame = table().with_columns(pl.Series("label", label))
    for task in ("auto", "classification", "regression", "none"):
        data = DATA.model_copy(update={"task": task})
        if len(set(label)) == 1 and task != "none":
            with pytest.raises(DataError) as expected:
                fit(frame.lazy(), data, PreprocessSection())
            with pytest.raises(DataError) as found:
                in_partitions(frame, 1, data)
            assert str(found.value) == str(expected.value)
        else:
            same(in_partitions(frame, 1, data), fit(frame.lazy(), data, PreprocessSection()))


@pytest.mark.parametrize("sort", [False, True])
@pytest.mark.parametrize("repeats", [0, 100, 101])
def test_identifiers_are_told_across_partitions(sort: bool, repeats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that two partitions have once each is in neither of them twice; a tenth of the cells may repeat."""
    monkeypatch.setattr(ranges, "RANGE_VALUES", 100)
    names = np.array([f"{number:06}" for number in range(1000)])
    names[1000 - repeats :] = names[:repeats]
    names = np.sort(names) if sort else names
    frame = pl.DataFrame({"name": names, "x": np.arange(1000) % 7})
    parts = [partial(frame[start : start + 100].lazy) for start in range(0, 1000, 100)]
    if not sort:
        assert all(part().collect()["name"].n_unique() == 100 for part in parts)
    profile = PartitionedRows(parts).profiles(["name"], {}, {})["name"]
    assert profile.kind == ("text" if repeats > 100 else "identifier")


@pytest.mark.slow
@pytest.mark.parametrize(
    "column", [[*map(str, range(N - 2)), "twelve", "thirteen"], [f"{n % 3}" for n in range(N - 1)] + ["x"]]
)
def test_text_among_numbers_is_the_same_error(column: list[str]) -> None:
    frame = table().with_columns(pl.Series("odd", column))
    for kinds in ({}, {"odd": "numeric"}):
        data = DATA.model_copy(update={"kinds": {**DATA.kinds, **kinds}})
        with pytest.raises(DataError) as expected:
            fit(frame.lazy(), data, PreprocessSection())
        with pytest.raises(DataError) as found:
            in_partitions(frame, 2, data)
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("offset", [0.0, 1e3, -1e9])
def test_central_moments_merge(offset: float) -> None:
    cells = np.random.default_rng(0).lognormal(size=20_000) + offset
    pieces = np.split(cells, [5, 5, 6, 9000, 9100])
    merged = moments([Sums.of(pl.Series(piece)) for piece in pieces])
    centred = (cells - offset).astype(np.longdouble)
    centred -= centred.mean()
    # The cells themselves are known to so many digits only.
    digits = max(1e-13, 1e-16 * abs(offset) / cells.std())
    assert merged.mean == pytest.approx(cells.astype(np.longdouble).mean(), rel=1e-14)
    assert merged.std == pytest.approx(float(np.sqrt((centred**2).mean())), rel=10 * digits)
    assert merged.skew == pytest.approx(float((centred**3).mean() / (centred**2).mean() ** 1.5), rel=100 * digits)


def test_splits_are_those_of_the_whole_table() -> None:
    frame, split = table().drop("list"), SplitSection(by="hash", seed=4)
    pieces = [piece for part in cut(frame, 0) for piece in split_hashes(part(), split)]
    codes = np.concatenate([part_codes(piece, split) for piece in pieces])
    assert assign_parts(frame.lazy(), split).to_physical().to_list() == codes.tolist()
    # Those of earlier versions: the ranks are a permutation of numpy's.
    by_chance = assign_parts(frame.lazy(), SplitSection(seed=4))
    ranks = np.random.default_rng(4).permutation(N)
    ends = np.cumsum([by_chance.eq(part).sum() for part in PARTS])
    assert by_chance.to_physical().to_list() == np.searchsorted(ends[:3], ranks, side="right").tolist()
