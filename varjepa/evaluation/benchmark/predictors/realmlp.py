"""RealMLP with the defaults that its authors tuned (the extra `field`)."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

from varjepa.config.predictors import PredictorSettings
from varjepa.evaluation.benchmark.predictors.linear import outputs_of
from varjepa.evaluation.benchmark.predictors.problem import Drawn, Fitted, Problem, joined, repeated
from varjepa.nn.random import initial_weights


def fit_realmlp(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:
    """Fits RealMLP once per seed; the epoch with the best validation error is kept.

    References:
        Holzmüller et al. 2024, "Better by default: strong pre-tuned MLPs and boosted trees on tabular data".
    """
    return joined([_fit(problem, settings, seed, drawn) for seed in seeds])


def _fit(problem: Problem, settings: PredictorSettings, seed: int, drawn: Drawn) -> Fitted:
    # Copied: the library warns of arrays that cannot be written.
    train, validation, test = (np.array(part.flat()) for part in (problem.train, problem.validation, problem.test))
    labels, y, y_validation = problem.labels, problem.y.numpy(), problem.y_validation.numpy()
    kind: Any = RealMLP_TD_Classifier if labels.n_classes else RealMLP_TD_Regressor
    model = kind(
        n_cv=1, n_refit=0, random_state=seed, n_threads=settings.xgboost.n_threads, device="cpu", verbosity=0,
        n_epochs=settings.realmlp.epochs, **drawn,
    )  # fmt: skip
    # The library knows no class without training rows.
    known = np.isin(y_validation, y) if labels.n_classes else np.ones(len(y_validation), dtype=bool)
    held = (validation[known], y_validation[known]) if known.any() else (train, y)
    # It draws from torch's own generator, which threads share, and its trainer announces what it will drop one day.
    with initial_weights(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(train, y, X_val=held[0], y_val=held[1])
        outputs = [labels.in_units(outputs_of(model, part, labels.n_classes)) for part in (validation, test)]
    return repeated(outputs[0], outputs[1], 1, settings.realmlp.epochs - 1, [])
