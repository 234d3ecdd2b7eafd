"""Labels of new rows, in whatever type a file or a request holds them."""

import polars as pl
import pytest

from varjepa.data.encode.features import LABEL, Label
from varjepa.evaluation.gate.groups import truth_of
from varjepa.inference.drift_counts import unseen_classes
from varjepa.inference.gate_evidence import judged_rows


@pytest.mark.parametrize(
    ("learned", "classes", "cells", "expected", "unseen"),
    [
        ("Boolean", ("0", "1"), ["True", "false", " ", "maybe", None], [1.0, 0.0, None, 2.0, None], {"maybe": 1}),
        ("Int64", ("1", "2"), ["2.0", " 1", "", "3", "1.5", "x"], [1.0, 0.0, None, 2.0, 2.0, 2.0], {"3", "1.5", "x"}),
        ("Float64", ("0.5", "1"), ["0.5", "1.0", "2"], [0.0, 1.0, 2.0], {"2"}),
        ("String", ("a", "b"), ["a", "", "  ", "c", " a"], [0.0, None, None, 2.0, 2.0], {"c", " a"}),
        ("String", ("", "b"), ["b", "", " "], [1.0, 0.0, None], {}),
    ],
)
def test_labels_in_text_are_classes_or_missing_or_unseen(
    learned: str, classes: tuple[str, ...], cells: list[str | None], expected: list[float | None], unseen: set[str]
) -> None:
    label = Label(name="y", dtype=learned, task="classification", classes=classes)
    frame = pl.DataFrame({"y": cells})
    assert frame.select(label.encode(frame.schema))[LABEL].to_list() == expected
    assert set(unseen_classes(frame.lazy(), label)) == set(unseen)
    # The gate judges the rows that have a label, be its class known or not.
    judged = judged_rows(frame, label)
    assert judged.height == sum(number is not None for number in expected)
    right = [number is not None and number < len(classes) for number in expected]
    assert truth_of(judged, label).is_in(classes).sum() == sum(right)


def test_a_number_that_is_none_is_no_label() -> None:
    label = Label(name="y", dtype="Float64", task="classification", classes=("0", "1"))
    frame = pl.DataFrame({"y": [0.0, float("nan"), None, 2.0]})
    assert frame.select(label.encode(frame.schema))[LABEL].to_list() == [0.0, None, None, 2.0]
    assert truth_of(judged_rows(frame, label), label).to_list() == ["0", "2"]
