"""Which columns of a row are named as its oddest."""

import numpy as np
import pytest

from varjepa.inference.model import _odd_columns

COLUMNS = ["age", "name", "name", "name", "since", "since"]


@pytest.mark.parametrize(
    ("oddity", "named"),
    [
        ([1.0, 5.0, 4.0, 0.0, 2.0, 0.0], ["name", "since", "age"]),
        ([3.0, 3.5, 3.5, 3.5, 0.0, 0.0], ["age", "name", "since"]),  # the oddest of three is odd by chance
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ["age", "since", "name"]),
    ],
)
def test_columns_of_the_table_are_named_once_and_features_that_are_made_from_them_never(
    oddity: list[float], named: list[str]
) -> None:
    assert _odd_columns(np.array([oddity, oddity]), COLUMNS).to_list() == [named, named]


def test_columns_that_are_one_feature_each_come_by_their_oddity() -> None:
    assert _odd_columns(np.array([[1.0, 3.0, 2.0, 3.0]]), ["a", "b", "c", "d"]).to_list() == [["b", "d", "c"]]
