"""The same number of trials for every predictor: which settings are tried, and which of them is kept.

The first trial is the predictor with the settings of the configuration. The others are drawn at random. Their spaces
are small and follow those of Gorishniy et al. 2021 ("Revisiting deep learning models for tabular data"; networks,
XGBoost), Gorishniy et al. 2025 ("TabM"; TabM, LightGBM) and Grinsztajn et al. 2022 ("Why do tree-based models still
outperform deep learning on typical tabular data?"; trees of scikit-learn) and Holzmüller et al. 2024 ("Better by
default"; RealMLP). Widths and depths of networks stay as published.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from varjepa.evaluation.benchmark.predictors.problem import Drawn, Fitted, Score

SMALLEST_PROBABILITY = 1e-7


class Range(NamedTuple):
    """Values of one setting.

    Attributes:
        low: smallest.
        high: largest.
        even: whether values are drawn evenly; otherwise their logarithms are.
        whole: whether values are rounded to whole numbers.
    """

    low: float
    high: float
    even: bool = False
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        ends = (self.low, self.high) if self.even else (np.log(self.low), np.log(self.high))
        drawn = float(rng.uniform(*ends))
        value = drawn if self.even else float(np.exp(drawn))
        return float(round(value)) if self.whole else value


RATE, DECAY, DROPOUT = Range(3e-4, 3e-3), Range(1e-5, 1e-1), Range(0.0, 0.5, even=True)
SHARE = Range(0.5, 1.0, even=True)

SPACES: dict[str, dict[str, Range]] = {
    "linear": {"strength": Range(1e-3, 1e2)},
    "mlp": {"lr": RATE, "weight_decay": DECAY, "dropout": DROPOUT},
    "dcnv2": {"lr": RATE, "weight_decay": DECAY, "dropout": DROPOUT},
    "resnet": {"lr": RATE, "weight_decay": DECAY, "dropout": DROPOUT},
    "autoint": {"lr": RATE, "weight_decay": DECAY},
    "ft_transformer": {"lr": Range(1e-4, 1e-3), "weight_decay": DECAY},
    "tabm": {"lr": RATE, "weight_decay": DECAY, "dropout": DROPOUT},
    "realmlp": {"lr": Range(2e-2, 3e-1), "wd": Range(1e-3, 1e-1), "p_drop": Range(0.0, 0.3, even=True)},
    "xgboost": {
        "eta": Range(0.05, 0.3), "max_depth": Range(3, 10, even=True, whole=True), "subsample": SHARE,
        "colsample_bytree": SHARE, "min_child_weight": Range(1, 100), "lambda": Range(0.1, 10),
    },
    "lightgbm": {
        "learning_rate": Range(0.05, 0.3), "num_leaves": Range(8, 128, whole=True), "bagging_fraction": SHARE,
        "feature_fraction": SHARE, "min_data_in_leaf": Range(5, 100, whole=True), "lambda_l2": Range(0.1, 10),
    },
    "skrub_linear": {"strength": Range(1e-3, 1e2)},
    "skrub_trees": {
        "learning_rate": Range(0.05, 0.3), "max_leaf_nodes": Range(8, 128, whole=True),
        "min_samples_leaf": Range(5, 100, whole=True), "l2_regularization": Range(0.01, 10),
    },
}  # fmt: skip
"""Predictor -> setting -> its values. `strength` is the inverse of the penalty."""

WHOLE = {name: {key for key, values in space.items() if values.whole} for name, space in SPACES.items()}
"""Predictor -> settings that are whole numbers."""


def trials(name: str, count: int, seed: int) -> list[Drawn]:
    """Settings of `count` trials: nothing for the first, drawn ones for the others.

    Examples:
        >>> first, second = trials("mlp", 2, 0)
        >>> first, sorted(second)
        ({}, ['dropout', 'lr', 'weight_decay'])
    """
    rng = np.random.default_rng(seed)
    return [{}, *({key: values.draw(rng) for key, values in SPACES[name].items()} for _ in range(count - 1))]


def validation_score(fitted: Fitted, y: Tensor, n_classes: int) -> Score:
    """How wrong the runs of a predictor are on the validation rows, on average over runs: as networks are stopped.

    Args:
        fitted: outputs in probabilities or in the label's units.
        y: labels of the validation rows [N], class numbers or values in the label's units.
        n_classes: C, or 0 for regression.
    """
    outputs = fitted.validation.double()  # [R, N, C]
    if not n_classes:
        loss = float((outputs[..., 0] - y.double()).square().mean())
        return loss, loss
    known = outputs.gather(2, y.long().expand(len(outputs), -1)[..., None])
    wrong = (outputs.argmax(2) != y).double().mean()
    return float(wrong), float(-known.clamp(min=SMALLEST_PROBABILITY).log().mean())
