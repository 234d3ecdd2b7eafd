"""Columns that are one category in several: which are found, and what their feature says of rows."""

import numpy as np
import polars as pl
import pytest

from varjepa.config import DataSection, PreprocessSection
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.errors import DataError

N = 120
COLOURS = np.random.default_rng(0).choice(3, p=[0.6, 0.3, 0.1], size=N)


def table(**more: object) -> pl.DataFrame:
    one_hot = {f"colour_{name}": (number == COLOURS).astype(int) for number, name in enumerate("abc")}
    return pl.DataFrame({"x": np.random.default_rng(1).normal(size=N)} | one_hot | more)


def fitted(frame: pl.DataFrame, **data: object) -> Preprocessor:
    return fit(frame.lazy(), DataSection(name="sim", **data), PreprocessSection())


def codes(preprocessor: Preprocessor, frame: pl.DataFrame) -> list[int]:
    return preprocessor.encode(frame.lazy()).collect()["colour"].to_list()


def test_a_group_becomes_one_categorical_feature() -> None:
    preprocessor = fitted(table())
    assert preprocessor.names == ["x", "colour"]
    assert preprocessor.columns == ["x", "colour_a", "colour_b", "colour_c"]
    assert preprocessor.joined == {"colour": ("colour_a", "colour_b", "colour_c")}
    assert list(preprocessor.sizes.cardinalities) == [5]
    assert codes(preprocessor, table()) == (COLOURS + 2).tolist()
    # What was fitted travels as JSON.
    again = Preprocessor.model_validate_json(preprocessor.model_dump_json())
    assert codes(again, table()) == (COLOURS + 2).tolist()


@pytest.mark.parametrize(
    ("row", "code"),
    [((1, 0, 0), 2), ((0, 0, 1), 4), ((0, 0, 0), 1), ((1, 1, 0), 1), ((None, None, None), 0), ((0, None, 0), 0),
     ((None, 1, None), 3), ((True, False, False), 2), ((0.0, 1.0, float("nan")), 3)],
)  # fmt: skip
def test_rows_that_break_the_pattern_are_other_or_missing(row: tuple, code: int) -> None:
    columns = {f"colour_{name}": [value] for name, value in zip("abc", row, strict=True)}
    new = pl.DataFrame({"x": [0.0]} | columns, strict=False)
    preprocessor = fitted(table())
    assert codes(preprocessor, new) == [code]
    observed = to_tensors(preprocessor.encode(new.lazy()).collect(), preprocessor).observed
    assert bool(observed[0, 1]) == (code != 0)


def test_rare_columns_share_the_code_of_others() -> None:
    numbers = np.where(np.arange(N) < 3, 2, np.arange(N) % 2)  # three rows of the third
    frame = pl.DataFrame({f"colour{k}": numbers == k for k in range(3)})
    assert set(codes(fitted(frame), frame)[:3]) == {1}
    assert set(codes(fitted(frame), frame)[3:]) == {2, 3}


def test_columns_of_their_own_stay_features() -> None:
    coin = np.random.default_rng(2).integers(2, size=N)
    broken = table()["colour_a"].to_numpy().copy()
    broken[5] = 1 - broken[5]
    for frame in (
        table().drop("colour_c"),  # rows without any
        table().with_columns(colour_a=pl.Series(broken)),  # one row with none or two
        table().with_columns(colour_a=pl.when(pl.int_range(N) > 0).then("colour_a")),  # a missing cell
        pl.DataFrame({"a": coin, "b": np.roll(1 - coin, 1), "x": np.arange(N) / 7}),  # sums that match by chance
    ):
        assert fitted(frame).joined == {}
    assert fitted(table(), kinds={"colour_b": "boolean"}).joined == {}
    apart = table().select("colour_a", "x", "colour_b", "colour_c")
    assert fitted(apart).joined == {}
    kept = fit(table().lazy(), DataSection(name="sim"), PreprocessSection(one_hot="keep"))
    assert kept.joined == {}


def test_groups_side_by_side_are_told_apart_and_named_apart() -> None:
    coin = np.random.default_rng(2).random(N) < 0.5
    preprocessor = fitted(table(colour_a2=coin, colour_b2=~coin))
    assert preprocessor.joined == {
        "colour": ("colour_a", "colour_b", "colour_c"),
        "colour_a2..colour_b2": ("colour_a2", "colour_b2"),
    }


def test_a_missing_column_of_a_group_is_named() -> None:
    with pytest.raises(DataError, match='column "colour_b" is missing'):
        fitted(table()).encode(table().drop("colour_b").lazy())
    with pytest.raises(DataError, match="Expected 0 and 1"):
        fitted(table()).encode(table().with_columns(colour_b=pl.lit("yes")).lazy())
