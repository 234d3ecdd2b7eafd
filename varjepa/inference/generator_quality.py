"""Quality of a generator on unseen rows: imputations, samples and anomaly scores, each with a baseline."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from varjepa.data.cells import by_name, column, retyped
from varjepa.data.encode.features import CategoricalFeature
from varjepa.data.encode.one_hot import OneHotFeature
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.tensors.sizes import MISSING, N_RESERVED
from varjepa.evaluation.auroc import auroc
from varjepa.inference.model import TrainedModel

LEVEL = 0.9
"""Level of the intervals whose coverage is measured."""

WIDEST = 60
"""Scikit-learn's IterativeImputer fits a regression per column and round: it is left out for more columns than this."""

FOLDS = 5
SMALLEST_OUTLIER, LARGEST_OUTLIER = 5.0, 10.0
"""Corrupted numbers lie this many deviations from the mean of their column."""


class Assessment(NamedTuple):
    """Result of an assessment.

    Attributes:
        metrics: imputation/..., samples/..., anomaly/....
        columns: one line per feature with hidden cells: `feature`, `kind`, `cells`. For numbers: `rmse`, that of the
            training mean (`rmse_mean`) and of scikit-learn's IterativeImputer (`rmse_iterative`), `coverage` of 90%
            intervals and their mean `width`. For categories: `accuracy`, and that of the mode (`accuracy_mode`).
    """

    metrics: dict[str, float]
    columns: pl.DataFrame


IMPUTED = {
    "feature": pl.String, "kind": pl.String, "cells": pl.Int64, "rmse": pl.Float64, "rmse_mean": pl.Float64,
    "rmse_iterative": pl.Float64, "coverage": pl.Float64, "width": pl.Float64, "accuracy": pl.Float64,
    "accuracy_mode": pl.Float64,
}  # fmt: skip
"""Columns of `Assessment.columns`."""


def assess(model: TrainedModel, train: pl.DataFrame, test: pl.DataFrame, *, seed: int) -> Assessment:
    """Hides cells, draws rows and corrupts cells of test rows.

    Args:
        model: with a generator.
        train: raw training rows: baselines learn from them, samples must not repeat them.
        test: raw test rows.
        seed: of everything random.
    """
    if not model.preprocessor.drawn:  # nothing but text and values of single rows, which are not drawn
        return Assessment({}, pl.DataFrame())
    # Hidden at the rate that the intervals were measured at: only there is their coverage promised.
    share = model.config.generator.missing
    lines = list(imputed_columns(model, train, test, share=share, seed=seed))
    columns = pl.DataFrame(lines, IMPUTED)  # of few rows, no cell may be hidden
    metrics = _imputation_metrics(columns)
    drawn = model.sampler(seed=seed, gaps=True).sample(test.height)
    features, compared = model.preprocessor.drawn, model.preprocessor.without_derived(model.preprocessor.withheld)
    cells = by_name(features)
    real = test.select(cells)
    some_training = train.select(cells).sample(min(test.height, train.height), seed=seed)
    # The second AUC is the yardstick of the first: real rows of another part are the best that samples could be.
    metrics["samples/auc"] = discrimination_auc(_numbers(real, compared), _numbers(drawn, compared), seed)
    metrics["samples/auc_of_training_rows"] = discrimination_auc(
        _numbers(real, compared), _numbers(some_training, compared), seed
    )
    # Samples that equal a training row in every feature, gaps included.
    same = retyped(drawn, real.schema).join(
        train.select(by_name(features)), on=by_name(features), how="semi", nulls_equal=True
    )
    metrics["samples/copies"] = same.height / max(drawn.height, 1)
    return Assessment(metrics | anomaly_metrics(model, test, seed=seed), columns)


def hidden(frame: pl.DataFrame, preprocessor: Preprocessor, share: float, seed: int) -> pl.DataFrame:
    """The frame with a share of its cells emptied at random; columns that make one feature go together."""
    rng, gaps = np.random.default_rng([seed, 41]), dict[str, pl.Series]()
    features = (*preprocessor.numeric, *preprocessor.categorical)
    for feature in (feature for feature, own in zip(features, preprocessor.own, strict=True) if own):
        gap = pl.Series(rng.random(frame.height) < share)
        gaps |= dict.fromkeys(feature.columns, gap)
    return frame.with_columns(pl.when(~gap).then(column(name)).alias(name) for name, gap in gaps.items())


def imputed_columns(
    model: TrainedModel, train: pl.DataFrame, test: pl.DataFrame, *, share: float, seed: int
) -> Iterator[dict[str, Any]]:
    """One line per feature with hidden cells; see `Assessment`."""
    preprocessor = model.preprocessor
    holed = hidden(test, preprocessor, share, seed)
    imputed = model.impute(holed, level=LEVEL)
    before, after = (model.encode(frame).observed.cpu().numpy() for frame in (test, holed))
    gaps = before & ~after  # [N, D]; cells that were missing before have no truth to compare with
    own, n_numeric = preprocessor.own, len(preprocessor.numeric)
    train_numbers, holes = (_plain(frame, preprocessor) for frame in (train, holed))
    places = [j for j in range(n_numeric) if own[j]]
    means = np.array([preprocessor.numeric[j].mean for j in places])
    # With a single column there is nothing to regress on.
    iterative = _iterative(train_numbers, holes, means) if 1 < train_numbers.shape[1] <= WIDEST else None
    truth, filled = _plain(test, preprocessor), _plain(imputed.filled, preprocessor)
    for k, j in enumerate(places):
        feature, gap = preprocessor.numeric[j], gaps[:, j]
        if gap.any():
            low, high = (_days(imputed.bounds[f"{feature.name}{end}"])[gap] for end in (".low", ".high"))
            # The slack forgives rounding where a bound is the value itself.
            right, slack = truth[gap, k], 1e-6 * feature.std
            yield {
                "feature": feature.name, "kind": feature.kind, "cells": int(gap.sum()),
                "rmse": _rmse(filled[gap, k], right), "rmse_mean": _rmse(feature.mean, right),
                "rmse_iterative": None if iterative is None else _rmse(iterative[gap, k], right),
                "coverage": float(((low <= right + slack) & (right - slack <= high)).mean()),
                "width": float((high - low).mean()), "accuracy": None, "accuracy_mode": None,
            }  # fmt: skip
    right, guess, learned = (model.encode(frame).codes.cpu().numpy() for frame in (test, imputed.filled, train))
    for c, categorical in enumerate(preprocessor.categorical):
        gap = gaps[:, n_numeric + c]
        if own[n_numeric + c] and gap.any():
            mode = known_mode(learned[:, c])
            yield {
                "feature": categorical.name, "kind": categorical.kind, "cells": int(gap.sum()),
                "rmse": None, "rmse_mean": None, "rmse_iterative": None, "coverage": None, "width": None,
                "accuracy": float((guess[gap, c] == right[gap, c]).mean()),
                "accuracy_mode": float((right[gap, c] == mode).mean()),
            }  # fmt: skip


def known_mode(codes: NDArray[np.int64]) -> int:
    """The most frequent known category among codes [N]; 0 if there is none.

    Rare categories share a code, which may be the most frequent one. No imputation can write it, and so the baseline
    must not guess it either.

    Examples:
        >>> known_mode(np.array([1, 1, 1, 0, 3, 3, 2]))
        3
    """
    known = codes[codes >= N_RESERVED]
    return int(np.bincount(known).argmax()) if len(known) else 0


def _rmse(guess: NDArray[np.float64] | float, right: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean((guess - right) ** 2)))


def _days(column: pl.Series) -> NDArray[np.float64]:
    """Numbers as they are, dates as days since 1970."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).dt.timestamp("us").cast(pl.Float64).to_numpy() / 86_400e6
    return column.cast(pl.Float64).to_numpy()


def _plain(frame: pl.DataFrame, preprocessor: Preprocessor) -> NDArray[np.float64]:
    """Numeric features that are columns of the table, in their own unit [N, n], NaN where missing."""
    columns = [_days(frame[feature.name]) for feature in preprocessor.numeric if feature.name in frame.columns]
    return np.stack(columns, 1) if columns else np.zeros((frame.height, 0))


def _iterative(
    train: NDArray[np.float64], holed: NDArray[np.float64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (importing it enables the next one)
    from sklearn.impute import IterativeImputer

    # A column of which these rows hold no cell would be left out, and the columns behind it would take its place.
    if (empty := np.isnan(train).all(0)).any():
        train = np.vstack([train, np.where(empty, means, np.nan)])
    return IterativeImputer(random_state=0).fit(train).transform(holed)


def _imputation_metrics(columns: pl.DataFrame) -> dict[str, float]:
    """Means over columns; errors of numbers as shares of the baselines' errors."""
    numeric, words = (columns.filter(pl.col(name).is_not_null()) for name in ("rmse", "accuracy"))
    metrics = {}
    if numeric.height:
        metrics["imputation/rmse_to_mean"] = numeric.select((pl.col("rmse") / pl.col("rmse_mean")).mean()).item()
        metrics["imputation/coverage_90"] = numeric["coverage"].mean()
        if numeric["rmse_iterative"].null_count() == 0:
            ratio = (pl.col("rmse") / pl.col("rmse_iterative")).mean()
            metrics["imputation/rmse_to_iterative"] = numeric.select(ratio).item()
    if words.height:
        metrics["imputation/accuracy"] = words["accuracy"].mean()
        metrics["imputation/accuracy_mode"] = words["accuracy_mode"].mean()
    return metrics


def _numbers(frame: pl.DataFrame, preprocessor: Preprocessor) -> NDArray[np.float64]:
    """Features as a classifier reads them [N, D]: numbers in their own unit, codes; NaN where missing."""
    table = to_tensors(preprocessor.encode(frame.lazy()).collect(), preprocessor)
    codes = table.codes.double().numpy()
    return np.c_[_plain(frame, preprocessor), np.where(codes > MISSING, codes, np.nan)]


def discrimination_auc(real: NDArray[np.float64], other: NDArray[np.float64], seed: int) -> float:
    """Cross-validated AUC of XGBoost (100 trees of depth 3, rate 0.1) as a classifier of two tables; 0.5 is best."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from xgboost import XGBClassifier

    x, y = np.r_[real, other], np.r_[np.zeros(len(real)), np.ones(len(other))]
    if min(len(real), len(other)) < FOLDS:  # every fold needs rows of both tables
        return float("nan")
    trees = XGBClassifier(n_estimators=100, max_depth=3, learning_rate=0.1, n_jobs=1)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    chances = cross_val_predict(trees, x, y, cv=folds, method="predict_proba")[:, 1]  # [N]
    return auroc(chances, y == 1)


def anomaly_metrics(model: TrainedModel, test: pl.DataFrame, *, seed: int) -> dict[str, float]:
    """AUROC of rows with one corrupted cell against the same rows, and how often its column is among the oddest two.

    Also the share of untouched rows whose anomaly says 1 in 20 or less (`false_alarms_05`): 0.05 at most if it is true.
    """
    corrupted, where = corrupt(test, model.preprocessor, seed)
    names, (good, bad) = model.preprocessor.names, (model.anomalies(frame) for frame in (test, corrupted))
    changed = where >= 0  # [N]
    oddity = bad.select(f"oddity.{name}" for name in names).to_numpy()  # [N, D]
    top = np.argsort(-oddity, axis=1)[:, :2]
    numeric = np.array([j < len(model.preprocessor.numeric) for j in range(len(names))])  # [D]
    metrics = {
        "anomaly/auroc": _detection(good, bad.filter(changed)),
        "anomaly/top2": float((top == where[:, None]).any(1)[changed].mean()),
        "anomaly/false_alarms_05": float((good["anomaly"] >= -np.log(0.05)).mean()),
    }
    for name, has_kind in (("number", numeric), ("category", ~numeric)):
        rows = changed & has_kind[np.maximum(where, 0)]  # -1 is clamped, then ruled out by `changed`
        if rows.any():
            metrics[f"anomaly/auroc_{name}"] = _detection(good, bad.filter(rows))
    return metrics


def _detection(good: pl.DataFrame, bad: pl.DataFrame) -> float:
    """AUROC of anomaly scores of corrupted rows against those of untouched ones."""
    scores = np.r_[good["anomaly"].to_numpy(), bad["anomaly"].to_numpy()]
    return auroc(scores, np.arange(len(scores)) >= good.height)


def corrupt(frame: pl.DataFrame, preprocessor: Preprocessor, seed: int) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Turns one cell of every row into an outlier or another known category; features are drawn evenly.

    Returns:
        The rows, and the number of the feature that was changed, -1 where the drawn cell could not be.
    """
    rng = np.random.default_rng([seed, 42])
    own = np.flatnonzero(preprocessor.own)
    where = own[rng.integers(len(own), size=frame.height)]
    out, schema, n_numeric = frame, frame.schema, len(preprocessor.numeric)
    for j in own[own < n_numeric]:
        feature = preprocessor.numeric[j]
        chosen = pl.Series(where == j)
        # Drawn for all rows, so that a row's outlier does not depend on the rows chosen beside it.
        distance = rng.uniform(SMALLEST_OUTLIER, LARGEST_OUTLIER, frame.height) * rng.choice([-1, 1], frame.height)
        numbers = feature.column(
            feature.mean + distance * feature.std, pl.Float64() if feature.kind != "date" else None
        )
        if feature.kind == "date":
            out = out.with_columns(
                pl.when(chosen)
                .then(numbers.cast(schema[feature.name]))
                .otherwise(column(feature.name))
                .alias(feature.name)
            )
        else:
            out = out.with_columns(
                pl.when(chosen).then(numbers).otherwise(column(feature.name).cast(pl.Float64)).alias(feature.name)
            )
    for j in own[own >= n_numeric]:
        categorical, in_feature = preprocessor.categorical[j - n_numeric], where == j
        out, changed = _swapped(out, categorical, in_feature, rng)
        where = np.where(in_feature & ~changed, -1, where)
    return out, where


def _swapped(
    frame: pl.DataFrame, feature: CategoricalFeature | OneHotFeature, rows: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Puts another known category, drawn evenly, into these rows; also returns which of them have changed."""
    size = len(feature.vocabulary)
    if size < 2:
        return frame, np.zeros_like(rows)
    old = frame.lazy().select(feature.encode(frame.schema)).collect().to_series().to_numpy().astype(np.int64)
    changed = rows & (old >= 2)  # codes 0 and 1 are reserved: missing, other
    # A shift by 1 to size - 1 around the circle of categories never ends where it began.
    new = 2 + (old - 2 + rng.integers(1, size, size=len(old))) % size
    swapped = feature.decode(np.where(changed, new, 2), frame.schema)
    condition = pl.Series(changed)
    return frame.with_columns(
        pl.when(condition).then(cells.cast(frame.schema[cells.name])).otherwise(column(cells.name)).alias(cells.name)
        for cells in swapped
    ), changed
