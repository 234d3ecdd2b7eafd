"""The boosted head: gradient-boosted trees, which take categories and gaps as they are and stop early."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.inference.heads.aside import threads_for
from varjepa.inference.heads.inputs import Components, HeadRows, tree_inputs, tree_types
from varjepa.inference.heads.trees import opened_booster, tree_outputs
from varjepa.machine import cores

if TYPE_CHECKING:
    import xgboost

_T = TypeVar("_T")

DEPTHS = (6, 10)
"""Depths of the trees to choose from."""

LEARNING_RATE, SUBSAMPLE, COLUMNS = 0.05, 0.8, 0.6
"""Step size, share of rows per tree, and share of columns per node."""

MOST_TREES, PATIENCE = 1500, 25
"""Most trees, over all classes together from 10 classes on; trees without improvement after which fitting stops."""

REFIT = 1.1
"""The final trees are fitted on more rows than those that chose their number, and can bear as many more of them."""


class BoostedData(NamedTuple):
    """Inputs of trees as arrays.

    Attributes:
        x: float32 [N, F].
        y: class numbers or standardised values, float [N].
        types: of the inputs [F].
        n_classes: C, or 0 for regression.
    """

    x: Floats
    y: Floats
    types: Sequence[str]
    n_classes: int

    def of(self, rows: Bools | np.ndarray) -> Self:
        """Some of the rows, by a mask or their positions."""
        return self._replace(x=self.x[rows], y=self.y[rows])

    def matrix(self) -> "xgboost.QuantileDMatrix":
        """The rows for fitting."""
        import xgboost

        return xgboost.QuantileDMatrix(
            self.x, label=self.y, feature_types=list(self.types), enable_categorical=True,
            nthread=threads_for(self.x.size),
        )  # fmt: skip


@dataclass(frozen=True)
class BoostedHead:
    """Gradient-boosted trees.

    Attributes:
        model: XGBoost's own format (UBJSON).
        features: what they read.
        components: of the embedding; None where only raw columns are read.
        n_classes: C, or 0 for regression.
        depth: of the trees.
        center: of the label of a regression.
        spread: of the label of a regression.
    """

    model: bytes
    features: FEATURES
    components: Components | None
    n_classes: int
    depth: int
    center: float = 0.0
    spread: float = 1.0

    @property
    def kind(self) -> HEAD:
        """Boosted."""
        return "boosted"

    @cached_property
    def booster(self) -> "xgboost.Booster":
        """The trees, which are checked when they are first needed.

        Raises:
            ModelError: the bytes hold no trees, or others than the head needs.
        """
        return opened_booster(self.model, self.n_classes if self.n_classes > 2 else 1)

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        x = tree_inputs(rows, self.features, self.components).cpu().numpy()
        types = tree_types(rows.table, self.features, self.components)
        found = tree_outputs(self.booster, x, types, margin=True)
        margins = torch.from_numpy(found).double().to(rows.flat.device)
        if self.n_classes == 0:
            return margins.view(-1, 1) * self.spread + self.center
        if self.n_classes == 2:  # XGBoost gives the logit of the second class only, [N]
            return torch.stack([torch.zeros_like(margins), margins], dim=1)
        return margins.view(-1, self.n_classes)

    def tensors(self) -> dict[str, Tensor]:
        """The trees as bytes, and the components."""
        components = (
            {} if self.components is None else {"center": self.components.center, "basis": self.components.basis}
        )
        return components | {"trees": torch.frombuffer(bytearray(self.model), dtype=torch.uint8)}

    def facts(self) -> dict[str, Any]:
        """Number of classes, depth, and the scale of the label."""
        return {"n_classes": self.n_classes, "depth": self.depth, "center": self.center, "spread": self.spread}


def fit_boosted(
    rows: HeadRows,
    labels: Tensor,
    features: FEATURES,
    components: Components | None,
    *,
    n_classes: int,
    held: Bools,
    seed: int,
) -> BoostedHead:
    """Fits trees on some training rows, lets the others choose depth and number, and fits again on all of them.

    Args:
        rows: training rows.
        labels: class numbers or values [N].
        features: what to read.
        components: of the embedding.
        n_classes: C, or 0 for regression.
        held: which training rows choose [N].
        seed: of the subsamples.
    """
    values = labels.double().cpu().numpy()
    center, spread = (0.0, 1.0) if n_classes else (float(values.mean()), float(values.std()) or 1.0)
    read = None if features == "raw" else components
    data = BoostedData(
        tree_inputs(rows, features, read).cpu().numpy(), (values - center) / spread,
        tree_types(rows.table, features, read), n_classes,
    )  # fmt: skip
    mixed = bool(held.any()) and not bool(held.all())
    depth, trees = _chosen_size(data.of(~held), data.of(held), seed) if mixed else (DEPTHS[0], 100)
    model = boosted_again(data, depth, trees, seed=seed)
    return BoostedHead(model, features, read, n_classes, depth, center, spread)


def resampled_boosted(
    head: BoostedHead, rows: HeadRows, labels: Tensor, *, count: int, seed: int
) -> tuple[BoostedHead, ...]:
    """Heads with as many trees of the same depth, on bootstrap samples of the training rows.

    Args:
        head: a classifier.
        rows: the rows that it was fitted on.
        labels: class numbers [N].
        count: of heads.
        seed: of the samples.
    """
    x = tree_inputs(rows, head.features, head.components).cpu().numpy()
    types, y = tree_types(rows.table, head.features, head.components), labels.double().cpu().numpy()
    data, trees, rng = BoostedData(x, y, types, head.n_classes), head.booster.num_boosted_rounds(), _random(seed)
    picks = [rng.integers(len(y), size=len(y)) for _ in range(count)]
    models = _each(lambda number: boosted_again(data.of(picks[number]), head.depth, trees, seed=seed + number),
                   range(count), data)  # fmt: skip
    return tuple(replace(head, model=model) for model in models)


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 37])


def boosted_again(data: BoostedData, depth: int, trees: int, *, seed: int) -> bytes:
    """Trees of a known size, as XGBoost's UBJSON."""
    import xgboost

    booster = xgboost.train(_options(data, depth, seed), data.matrix(), trees, verbose_eval=False)
    return bytes(booster.save_raw("ubj"))


def _chosen_size(fitting: BoostedData, held: BoostedData, seed: int) -> tuple[int, int]:
    """Depth and number of trees with the smallest loss on the held rows."""
    import xgboost

    most = max(50, MOST_TREES * 10 // max(10, fitting.n_classes))
    watched = xgboost.DMatrix(
        held.x, label=held.y, feature_types=list(held.types), enable_categorical=True, nthread=threads_for(held.x.size)
    )

    def tried(depth: int) -> tuple[float, int, int]:
        booster = xgboost.train(
            _options(fitting, depth, seed), fitting.matrix(), most, evals=[(watched, "held")],
            early_stopping_rounds=PATIENCE, verbose_eval=False,
        )  # fmt: skip
        return booster.best_score, depth, round(REFIT * (booster.best_iteration + 1))

    best = min(_each(tried, DEPTHS, fitting))
    return best[1], best[2]


def _each(fit: Callable[[int], _T], numbers: Iterable[int], data: BoostedData) -> list[_T]:
    """One fit per number; side by side where each uses one thread: XGBoost lets go of Python's lock."""
    at_once = cores() if threads_for(data.x.size) == 1 else 1
    with ThreadPoolExecutor(at_once, "trees") as pool:
        return list(pool.map(fit, numbers))


def _options(data: BoostedData, depth: int, seed: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tree_method": "hist", "max_depth": depth, "eta": LEARNING_RATE, "subsample": SUBSAMPLE,
        "colsample_bynode": COLUMNS, "seed": seed, "nthread": threads_for(data.x.size), "verbosity": 0,
    }  # fmt: skip
    if data.n_classes == 0:
        return options | {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if data.n_classes == 2:
        return options | {"objective": "binary:logistic", "eval_metric": "logloss"}
    return options | {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": data.n_classes}
