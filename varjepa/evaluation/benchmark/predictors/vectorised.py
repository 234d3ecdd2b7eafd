"""Raw columns as skrub's `TableVectorizer` reads them, under a linear model or trees (the extra `field`).

These predictors see no preprocessing of ours: what a person gets who hands a data frame to scikit-learn.
"""

from typing import Any, Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from skrub import tabular_pipeline

from varjepa.evaluation.benchmark.predictors.boosting import MOST_TREES, PATIENCE
from varjepa.evaluation.benchmark.predictors.linear import linear_model, outputs_of
from varjepa.evaluation.benchmark.predictors.problem import Drawn, Fitted, Problem, repeated


def fit_vectorised(problem: Problem, kind: Literal["linear", "trees"], drawn: Drawn, runs: int, seed: int) -> Fitted:
    """Fits a pipeline that skrub recommends for the model to pandas frames; nothing in it differs between runs.

    Args:
        problem: with pandas frames as rows.
        kind: of the model at the end of the pipeline.
        drawn: its settings.
        runs: how often the result stands for one.
        seed: of all that is random in the pipeline.
    """
    labels, y = problem.labels, problem.y.numpy()
    strength = drawn.get("strength", 1.0)
    model = linear_model(labels.n_classes, strength) if kind == "linear" else trees(labels.n_classes, drawn)
    pipeline = tabular_pipeline(model)
    # Skrub seeds nothing by itself: its encoder of text and of many categories is a random projection, refined.
    random = [name for name in pipeline.get_params() if name.endswith("random_state")]
    *steps, last = pipeline.set_params(**dict.fromkeys(random, seed)).steps
    rows: list[Any] = [problem.train, problem.validation, problem.test]
    for _, step in steps:
        rows = [step.fit_transform(rows[0], y), *(step.transform(part) for part in rows[1:])]
    fitted = last[1]
    y_validation = problem.y_validation.numpy()
    # Scikit-learn knows no class without training rows.
    known = np.isin(y_validation, y) if labels.n_classes else np.ones(len(y_validation), dtype=bool)
    if kind == "trees" and known.any():
        fitted.fit(rows[0], y, X_val=rows[1][known], y_val=y_validation[known])
    else:
        fitted.fit(rows[0], y)
    outputs = [labels.in_units(outputs_of(fitted, part, labels.n_classes)) for part in rows[1:]]
    last_tree = fitted.n_iter_ - 1 if kind == "trees" else 0
    return repeated(outputs[0], outputs[1], runs, last_tree, [])


def trees(n_classes: int, drawn: Drawn) -> Any:
    """Unfitted trees of scikit-learn: its defaults in the first trial, always stopped on the validation rows."""
    settings = {"early_stopping": True, "n_iter_no_change": PATIENCE, "max_iter": MOST_TREES}
    kind = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
    return kind(**settings | drawn)
