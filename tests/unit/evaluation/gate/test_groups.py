"""Classes and clusters of raw rows."""

import polars as pl

from varjepa.config import SplitSection
from varjepa.data.encode.features import Label
from varjepa.evaluation.gate.groups import dependent_rows, row_classes


def test_rows_of_a_customer_and_copies_of_a_row_depend_on_each_other() -> None:
    frame = pl.DataFrame({"customer": [7, 7, 8, None, None], "x": [1.0, 2.0, 3.0, 4.0, 4.0]})
    by_customer = dependent_rows(frame, SplitSection(by="hash", column="customer", columns=("x",)))
    assert by_customer is not None
    assert [bool(by_customer[0] == other) for other in by_customer] == [True, True, False, False, False]
    assert by_customer[3] == by_customer[4]  # without a customer, by their content
    assert dependent_rows(frame.head(3), SplitSection(by="hash", columns=("x",))) is None
    assert dependent_rows(frame, SplitSection()) is None


def test_classes_are_numbered_also_those_that_no_model_knows() -> None:
    frame = pl.DataFrame({"y": ["b", "a", "new", "b"]})
    label = Label(name="y", dtype="String", task="classification", classes=("a", "b"))
    assert row_classes(frame, label).tolist() == [2, 1, 3, 2]
    assert row_classes(frame, Label(name="y", dtype="String", task="regression")) is None
    assert row_classes(frame, None) is None
