"""Labelled rows of the parts of a study's table: how many there are, and whether they are enough."""

from collections.abc import Sequence

import polars as pl

from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PART
from varjepa.errors import DataError
from varjepa.tasks.retrain.preprocess import Prepared


def labelled_counts(prepared: Prepared, parts: Sequence[str], least: int) -> dict[str, int]:
    """Rows of some parts with a label: one that training has seen, or in the test part any.

    Args:
        prepared: encoded rows.
        parts: train, validation, calibration or test.
        least: labelled rows that each of these parts must have.

    Raises:
        DataError: a part has fewer, or the table has no label.
    """
    label, rows = Preprocessor.read(prepared.preprocessor).label, pl.scan_parquet(prepared.encoded)
    if label is None:
        raise DataError("The table has no label.", expected="A study compares how well it is predicted.")
    known = pl.when(pl.col(PART) == "test").then(pl.col(LABEL).is_finite()).otherwise(label.can_predict(pl.col(LABEL)))
    found = rows.filter(known).group_by(PART).len().collect(engine="streaming")
    counts = dict.fromkeys(parts, 0) | dict(found.iter_rows())
    if min(counts[part] for part in parts) < least:
        said = ", ".join(f"{part} {counts[part]:,}" for part in parts)
        raise DataError(
            f"Too few rows have a label: {said}.", expected=f"Expected at least {least} in each of these parts."
        )
    return counts
