"""Columns beside a prediction: the ends of its interval, the set of classes, all probabilities, accept."""

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import polars as pl

from varjepa.evaluation.arrays import Floats
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.evaluation.uncertainty.prediction_sets import SetRule
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.intervals import FittedIntervals

ON_REQUEST = Literal["set", "probabilities"]
"""Columns of classes that are made only if they are asked for: `set`, and one `probability.CLASS` per class."""


def number_columns(fitted: FittedIntervals, rows: HeadRows, predictions: Floats) -> dict[str, pl.Series]:
    """`uncertainty`, and, with a calibration, `low`, `high` and `accept`.

    Args:
        fitted: of the regressor.
        rows: N rows.
        predictions: of them, [N].
    """
    columns: dict[str, Floats] = {"uncertainty": fitted.size(rows, predictions)}
    if fitted.rule is not None:
        low, high = fitted.rule.interval(fitted.maps(rows, predictions, fitted.rule.method))
        columns["uncertainty"] = fitted.rule.uncertainty((low, high), columns["uncertainty"])
        columns |= {"low": low, "high": high}
    series = {name: pl.Series(values, dtype=pl.Float64) for name, values in columns.items()}
    if fitted.certificate is not None:
        series["accept"] = accepted(fitted.certificate, series["uncertainty"])
    return series


def accepted(certificate: Certificate, uncertainty: pl.Series) -> pl.Series:
    """Whether rows are covered by a certificate; without a threshold none is."""
    if certificate.threshold is None:
        return pl.repeat(value=False, n=len(uncertainty), eager=True)
    return uncertainty <= certificate.threshold


def class_columns(
    rule: SetRule | None, probabilities: Floats, classes: Sequence[str], wanted: Collection[ON_REQUEST]
) -> dict[str, pl.Series]:
    """`set`, the classes of each row's set with the most probable one first; and `probability.CLASS` of every class.

    Args:
        rule: of the sets; None where there is none.
        probabilities: calibrated, [N, C].
        classes: names.
        wanted: which of them to make.
    """
    columns: dict[str, pl.Series] = {}
    if "set" in wanted and rule is not None:
        sets, names = rule.sets(probabilities), np.array(classes, dtype=object)
        order = np.argsort(-probabilities, axis=1, kind="stable")
        within = np.take_along_axis(sets, order, axis=1)
        lists = [names[ranked[inside]].tolist() for ranked, inside in zip(order, within, strict=True)]
        columns["set"] = pl.Series(lists, dtype=pl.List(pl.String))
    if "probabilities" in wanted:
        columns |= {f"probability.{name}": pl.Series(probabilities[:, number]) for number, name in enumerate(classes)}
    return columns
