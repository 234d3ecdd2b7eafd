"""Gradient-boosted trees of LightGBM on flat inputs (the extra `field`)."""

from collections.abc import Mapping
from typing import Any

import lightgbm
import torch
from torch import Tensor

from varjepa.config.predictors import BoostingSection
from varjepa.evaluation.benchmark.predictors.boosting import MOST_TREES, PATIENCE, Boosted, columns


def grow(
    train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], *others: Tensor, n_classes: int,
    settings: BoostingSection, drawn: Mapping[str, Any] | None = None, seed: int = 0,
) -> Boosted:  # fmt: skip
    """Fits trees until the loss on the validation rows falls no more; see `boost` for arguments.

    The first trial is LightGBM with its own defaults, stopped in the same way.
    """
    objective, metric = _objective(n_classes)
    options: dict[str, Any] = {
        "objective": objective, "metric": metric, "num_threads": settings.n_threads, "seed": seed, "verbosity": -1,
        "deterministic": True, "force_row_wise": True, "bagging_freq": 1,
    } | dict(drawn or {})  # fmt: skip
    if n_classes > 2:
        options["num_class"] = n_classes
    rows = lightgbm.Dataset(train[0].numpy(), label=train[1].numpy(), params=options)
    watched = lightgbm.Dataset(validation[0].numpy(), label=validation[1].numpy(), reference=rows)
    record: dict[str, Any] = {}
    callbacks = [lightgbm.early_stopping(PATIENCE, verbose=False), lightgbm.record_evaluation(record)]
    booster = lightgbm.train(
        options, rows, MOST_TREES, valid_sets=[watched], valid_names=["validation"], callbacks=callbacks
    )
    used = booster.best_iteration
    parts = (validation[0], *others)
    outputs = [booster.predict(x.numpy(), num_iteration=used) for x in parts]
    return Boosted(
        [columns(torch.as_tensor(output, dtype=torch.float32), n_classes) for output in outputs],
        list(record["validation"][metric][:used]),
    )


def _objective(n_classes: int) -> tuple[str, str]:
    if n_classes == 0:
        return "regression", "l2"
    return ("binary", "binary_logloss") if n_classes == 2 else ("multiclass", "multi_logloss")
