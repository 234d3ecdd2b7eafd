"""Gradient-boosted trees on flat inputs."""

from typing import Any, NamedTuple

import numpy as np
import torch
import xgboost
from torch import Tensor

from varjepa.config.predictors import BoostingSection


class Boosted(NamedTuple):
    """What the trees say.

    Attributes:
        outputs: per part, probabilities float32 [N, C] or values [N, 1].
        history: log loss or squared error on the validation rows after every tree.
    """

    outputs: list[Tensor]
    history: list[float]


def boost(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *others: Tensor, n_classes: int,
    settings: BoostingSection,
) -> Boosted:  # fmt: skip
    """Fits a fixed number of trees; nothing in it is random.

    Args:
        train: inputs float32 [N, F] and labels [N].
        validation: the same of other rows; only watched.
        others: inputs to predict beside those of `validation`.
        n_classes: C, or 0 for regression.
        settings: sizes.

    Returns:
        outputs for `validation` and then for `others`.
    """
    objective, metric = _objective(n_classes)
    options: dict[str, Any] = {
        "objective": objective, "eval_metric": metric, "tree_method": "hist", "max_depth": settings.max_depth,
        "eta": settings.lr, "nthread": settings.n_threads, "verbosity": 0,
    }  # fmt: skip
    if n_classes > 2:
        options["num_class"] = n_classes
    fitting = xgboost.QuantileDMatrix(_array(train[0]), label=_array(train[1]), nthread=settings.n_threads)
    watched = xgboost.DMatrix(_array(validation[0]), label=_array(validation[1]), nthread=settings.n_threads)
    record: dict[str, Any] = {}
    booster = xgboost.train(
        options, fitting, settings.n_trees, evals=[(watched, "validation")], evals_result=record, verbose_eval=False
    )
    matrices = [watched, *(xgboost.DMatrix(_array(x), nthread=settings.n_threads) for x in others)]
    outputs = [_columns(torch.from_numpy(booster.predict(matrix)), n_classes) for matrix in matrices]
    losses = record["validation"][metric]  # one per tree; for values XGBoost gives the root of the squared error
    return Boosted(outputs, [loss**2 for loss in losses] if n_classes == 0 else list(losses))


def _objective(n_classes: int) -> tuple[str, str]:
    if n_classes == 0:
        return "reg:squarederror", "rmse"
    return ("binary:logistic", "logloss") if n_classes == 2 else ("multi:softprob", "mlogloss")


def _columns(predicted: Tensor, n_classes: int) -> Tensor:
    if n_classes == 2:  # XGBoost gives the second class only, [N]
        return torch.stack([1 - predicted, predicted], dim=1)
    return predicted.view(len(predicted), -1)


def _array(x: Tensor) -> np.ndarray:
    return x.float().cpu().numpy()
