"""Gradient-boosted trees of XGBoost on flat inputs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import xgboost
from torch import Tensor

from varjepa.config.predictors import BoostingSection

MOST_TREES, PATIENCE = 1000, 50
"""Trees of a trial with drawn settings: at most so many, stopped after so many without a lower validation loss."""


class Boosted(NamedTuple):
    """What the trees say.

    Attributes:
        outputs: per part, probabilities float32 [N, C] or values [N, 1].
        history: log loss or squared error on the validation rows after every tree that is used.
    """

    outputs: list[Tensor]
    history: list[float]


def boost(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *others: Tensor, n_classes: int,
    settings: BoostingSection, drawn: Mapping[str, Any] | None = None, seed: int = 0,
) -> Boosted:  # fmt: skip
    """Fits trees: a fixed number, in which nothing is random; or, with drawn settings, as many as validation asks for.

    Args:
        train: inputs float32 [N, F] and labels [N].
        validation: the same of other rows; only watched, or used for stopping.
        others: inputs to predict beside those of `validation`.
        n_classes: C, or 0 for regression.
        settings: sizes.
        drawn: settings of XGBoost in place of `settings`.
        seed: of the rows and columns that drawn settings leave out.

    Returns:
        outputs for `validation` and then for `others`.
    """
    objective, metric = _objective(n_classes)
    options: dict[str, Any] = {
        "objective": objective, "eval_metric": metric, "tree_method": "hist", "max_depth": settings.max_depth,
        "eta": settings.lr, "nthread": settings.n_threads, "verbosity": 0, "seed": seed,
    } | dict(drawn or {})  # fmt: skip
    if n_classes > 2:
        options["num_class"] = n_classes
    fitting = xgboost.QuantileDMatrix(_array(train[0]), label=_array(train[1]), nthread=settings.n_threads)
    watched = xgboost.DMatrix(_array(validation[0]), label=_array(validation[1]), nthread=settings.n_threads)
    record: dict[str, Any] = {}
    booster = xgboost.train(
        options, fitting, MOST_TREES if drawn else settings.n_trees, evals=[(watched, "validation")],
        evals_result=record, verbose_eval=False, early_stopping_rounds=PATIENCE if drawn else None,
    )  # fmt: skip
    used = booster.best_iteration + 1 if drawn else settings.n_trees
    matrices = [watched, *(xgboost.DMatrix(_array(x), nthread=settings.n_threads) for x in others)]
    outputs = [booster.predict(matrix, iteration_range=(0, used)) for matrix in matrices]
    losses = record["validation"][metric][:used]  # for values XGBoost gives the root of the squared error
    return Boosted(
        [columns(torch.from_numpy(output), n_classes) for output in outputs],
        [loss**2 for loss in losses] if n_classes == 0 else list(losses),
    )


def _objective(n_classes: int) -> tuple[str, str]:
    if n_classes == 0:
        return "reg:squarederror", "rmse"
    return ("binary:logistic", "logloss") if n_classes == 2 else ("multi:softprob", "mlogloss")


def columns(predicted: Tensor, n_classes: int) -> Tensor:
    """Outputs of trees as [N, C], or [N, 1] for values; of two classes, trees give the second only, [N]."""
    if n_classes == 2:
        return torch.stack([1 - predicted, predicted], dim=1)
    return predicted.view(len(predicted), -1)


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()
