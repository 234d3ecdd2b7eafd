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
from varjepa.evaluation.gate.paired_tests import Pairs, p_worse
from varjepa.inference.heads.aside import threads_for
from varjepa.inference.heads.inputs import Components, HeadRows, tree_inputs, tree_types
from varjepa.inference.heads.trees import opened_booster, tree_outputs
from varjepa.machine import cores

if TYPE_CHECKING:
    import xgboost

_N = TypeVar("_N")
_T = TypeVar("_T")

COLUMNS = 0.6
"""Share of columns per node."""

MOST_TREES, PATIENCE = 1500, 25
"""Most trees, over all classes together from 10 classes on; trees without improvement after which fitting stops."""

REFIT = 1.1
"""The final trees are fitted on more rows than those that chose their number, and can bear as many more of them."""

DOUBT = 0.05
"""Chance at most that equally good trees replace those of the usual shape, for each change that is tried."""

FASTER = (0.1, 0.2)
"""Step sizes to try in turn where the most trees are too few for small steps: many rows, or many classes."""

SEARCH_ROWS = 50_000
"""Rows, drawn at random, that the shapes are compared on; the number of trees is chosen on all of them."""

ONE_HOT_BELOW = 200
"""Columns of so many categories are always parted into two groups: a split that takes out one would be too small."""


class Shape(NamedTuple):
    """How trees grow.

    Attributes:
        depth: of the deepest leaf.
        one_hot: whether a split by a column takes one category from the others; otherwise it parts them into two
            groups, which fits more closely.
        subsample: share of rows per tree.
        rate: the step size.
    """

    depth: int = 6
    one_hot: bool = False
    subsample: float = 0.8
    rate: float = 0.05


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

    def watched(self) -> "xgboost.DMatrix":
        """The rows for watching."""
        import xgboost

        return xgboost.DMatrix(
            self.x, label=self.y, feature_types=list(self.types), enable_categorical=True,
            nthread=threads_for(self.x.size),
        )  # fmt: skip

    def losses(self, predicted: Floats) -> Floats:
        """Log losses or squared errors [N] of probabilities [N], [N, C] or values [N]."""
        if self.n_classes == 0:
            return np.asarray((predicted - self.y) ** 2, dtype=np.float64)
        each = np.stack([1 - predicted, predicted], axis=1) if predicted.ndim == 1 else predicted  # [N, C]
        chances = each[np.arange(len(self.y)), self.y.astype(np.int64)].astype(np.float64)
        return -np.log(np.maximum(chances, np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class BoostedHead:
    """Gradient-boosted trees.

    Attributes:
        model: XGBoost's own format (UBJSON).
        features: what they read.
        components: of the embedding; None where only raw columns are read.
        n_classes: C, or 0 for regression.
        shape: of the trees.
        center: of the label of a regression.
        spread: of the label of a regression.
    """

    model: bytes
    features: FEATURES
    components: Components | None
    n_classes: int
    shape: Shape
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
        """Number of classes, shape, and the scale of the label."""
        scale = {"center": self.center, "spread": self.spread}
        return {"n_classes": self.n_classes} | self.shape._asdict() | scale


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
    """Fits trees on some training rows, lets the others choose shape and number, and fits again on all of them.

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
    shape, trees = _chosen_size(data.of(~held), data.of(held), seed) if mixed else (Shape(), 100)
    model = boosted_again(data, shape, trees, seed=seed)
    return BoostedHead(model, features, read, n_classes, shape, center, spread)


def resampled_boosted(
    head: BoostedHead, rows: HeadRows, labels: Tensor, *, count: int, seed: int
) -> tuple[BoostedHead, ...]:
    """Heads with as many trees of the same shape, on bootstrap samples of the training rows.

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
    models = _each(lambda number: boosted_again(data.of(picks[number]), head.shape, trees, seed=seed + number),
                   range(count), data)  # fmt: skip
    return tuple(replace(head, model=model) for model in models)


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 37])


def boosted_again(data: BoostedData, shape: Shape, trees: int, *, seed: int) -> bytes:
    """Trees of a known shape and number, as XGBoost's UBJSON."""
    import xgboost

    booster = xgboost.train(_options(data, shape, seed), data.matrix(), trees, verbose_eval=False)
    return bytes(booster.save_raw("ubj"))


def most_rounds(n_classes: int) -> int:
    """Most trees of each class.

    Examples:
        >>> most_rounds(2), most_rounds(100)
        (1500, 150)
    """
    return max(50, MOST_TREES * 10 // max(10, n_classes))


class _Tried(NamedTuple):
    """Trees of one shape.

    Attributes:
        shape: of them.
        trees: number with the smallest loss on the held rows.
        losses: of the held rows [M].
    """

    shape: Shape
    trees: int
    losses: Floats


def _chosen_size(fitting: BoostedData, held: BoostedData, seed: int) -> tuple[Shape, int]:
    """Shape and number of trees with the smallest loss on the held rows.

    The usual shape is compared with shallower trees, or else with deeper ones. The better of them stays, and then gives
    way to a change only where that is better beyond doubt: held rows that are few would choose by chance.
    """
    watched, few = held.watched(), fitting
    if len(fitting.y) > SEARCH_ROWS:
        few = fitting.of(_random(seed).permutation(len(fitting.y))[:SEARCH_ROWS])

    def tried(shape: Shape, data: BoostedData = few) -> _Tried:
        return _tried(data, held, watched, shape, seed)

    best, shallow = _each(tried, [Shape(), Shape(depth=4)], few)
    if shallow.losses.mean() < best.losses.mean():
        best = shallow
    else:
        best = min(best, tried(Shape(depth=10)), key=lambda one: one.losses.mean())
    changes: list[dict[str, Any]] = [{"one_hot": True}] if "c" in fitting.types else []
    for change in (*changes, {"subsample": 1.0}):
        other = tried(best.shape._replace(**change))
        if p_worse(Pairs(other.losses - best.losses)) <= DOUBT:
            best = other
    if few is not fitting:
        best = tried(best.shape, fitting)
    for rate in FASTER:
        if best.trees > 0.9 * most_rounds(fitting.n_classes):
            best = min(best, tried(best.shape._replace(rate=rate), fitting), key=lambda one: one.losses.mean())
    return best.shape, round(REFIT * best.trees)


def _tried(fitting: BoostedData, held: BoostedData, watched: "xgboost.DMatrix", shape: Shape, seed: int) -> _Tried:
    """Trees that are fitted until more of them make the held rows' loss no smaller."""
    import xgboost

    booster = xgboost.train(
        _options(fitting, shape, seed), fitting.matrix(), most_rounds(fitting.n_classes), evals=[(watched, "held")],
        early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    trees = booster.best_iteration + 1
    return _Tried(shape, trees, held.losses(booster.predict(watched, iteration_range=(0, trees))))


def _each(fit: Callable[[_N], _T], inputs: Iterable[_N], data: BoostedData) -> list[_T]:
    """One fit per input; side by side where each uses one thread: XGBoost lets go of Python's lock."""
    at_once = cores() if threads_for(data.x.size) == 1 else 1
    with ThreadPoolExecutor(at_once, "trees") as pool:
        return list(pool.map(fit, inputs))


def _options(data: BoostedData, shape: Shape, seed: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tree_method": "hist", "max_depth": shape.depth, "eta": shape.rate, "subsample": shape.subsample,
        "colsample_bynode": COLUMNS, "seed": seed, "nthread": threads_for(data.x.size), "verbosity": 0,
    }  # fmt: skip
    if shape.one_hot:
        options["max_cat_to_onehot"] = ONE_HOT_BELOW
    if data.n_classes == 0:
        return options | {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if data.n_classes == 2:
        return options | {"objective": "binary:logistic", "eval_metric": "logloss"}
    return options | {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": data.n_classes}
