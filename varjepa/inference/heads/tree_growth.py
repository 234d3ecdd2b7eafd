"""How boosted trees grow: rows for them, the shape that held rows choose, and their number."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import numpy as np

from varjepa.evaluation.arrays import Bools, Floats
from varjepa.evaluation.bootstrap import cluster_numbers
from varjepa.evaluation.gate.paired_tests import Pairs, p_worse
from varjepa.inference.heads.aside import threads_for
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

SEARCH_ROWS = 40_000
"""Rows, drawn at random, that the shapes are compared on. The number of trees is chosen on all, with larger steps."""

FEW_CATEGORIES, ONE_HOT_BELOW = 4, 200
"""Splits always take out one of fewer categories, and always part that many, as one alone would have too few rows."""

MOST_BINS, FEWEST_BINS, ROWS_PER_BIN = 256, 32, 40
"""Numbers are sorted into bins. More of them take longer, and on few rows are no better."""


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
        clusters: rows with the same number belong together [N]; None for independent rows.
    """

    x: Floats
    y: Floats
    types: Sequence[str]
    n_classes: int
    clusters: np.ndarray | None = None

    def of(self, rows: Bools | np.ndarray) -> Self:
        """Some of the rows, by a mask or their positions."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return self._replace(x=self.x[rows], y=self.y[rows], clusters=clusters)

    def matrix(self) -> "xgboost.QuantileDMatrix":
        """The rows for fitting."""
        import xgboost

        return xgboost.QuantileDMatrix(
            self.x, label=self.y, feature_types=list(self.types), enable_categorical=True, max_bin=self.bins,
            nthread=threads_for(self.x.size),
        )  # fmt: skip

    @property
    def bins(self) -> int:
        """Bins of a number, about one per `ROWS_PER_BIN` rows."""
        return min(MOST_BINS, max(FEWEST_BINS, len(self.y) // ROWS_PER_BIN))

    @property
    def parted(self) -> bool:
        """Whether splits part the categories of a column unless they are told to take out one."""
        codes = [self.x[:, number] for number, kind in enumerate(self.types) if kind == "c"]
        return any(FEW_CATEGORIES <= np.nanmax(each, initial=-1.0) + 1 < ONE_HOT_BELOW for each in codes)

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


def random_of(seed: int) -> np.random.Generator:
    """Draws samples of rows."""
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


class Tried(NamedTuple):
    """Trees of one shape.

    Attributes:
        shape: of them.
        trees: number with the smallest loss on the held rows.
        losses: of the held rows [M].
    """

    shape: Shape
    trees: int
    losses: Floats


def chosen_shape(fitting: BoostedData, held: BoostedData, seed: int) -> tuple[Shape, int]:
    """Shape and number of trees with the smallest loss on the held rows.

    The usual shape is compared with shallower trees, or else with deeper ones. The better of them stays, and then gives
    way to a change only where that is better beyond doubt: held rows that are few would choose by chance.
    """
    watched, few = held.watched(), fitting
    if len(fitting.y) > SEARCH_ROWS:
        few = fitting.of(random_of(seed).permutation(len(fitting.y))[:SEARCH_ROWS])

    def tried(shape: Shape, data: BoostedData = few) -> Tried:
        return _tried(data, held, watched, shape, seed)

    usual, shallow = fit_each(tried, [Shape(), Shape(depth=4)], few)
    other = shallow if _mean_loss(shallow) < _mean_loss(usual) else tried(Shape(depth=10))
    best = min(usual, other, key=_mean_loss)
    changed = [best.shape._replace(subsample=1.0), *([best.shape._replace(one_hot=True)] if fitting.parted else [])]
    better = [each for each in fit_each(tried, changed, few) if _beyond_doubt(each, best, held.clusters)]
    if len(better) == 2:
        better.append(tried(best.shape._replace(subsample=1.0, one_hot=True)))
    best = min(better, key=_mean_loss, default=best)
    if few is not fitting:
        best = tried(best.shape._replace(rate=FASTER[0]), fitting)
    for rate in FASTER:
        if best.shape.rate < rate and best.trees > 0.9 * most_rounds(fitting.n_classes):
            best = min(best, tried(best.shape._replace(rate=rate), fitting), key=_mean_loss)
    return best.shape, round(REFIT * best.trees)


def _mean_loss(tried: Tried) -> float:
    return float(tried.losses.mean())


def _beyond_doubt(tried: Tried, other: Tried, clusters: np.ndarray | None) -> bool:
    """Whether it has the smaller losses, and not by chance; rows of a cluster are no independent witnesses."""
    return p_worse(Pairs(tried.losses - other.losses, cluster_numbers(clusters))) <= DOUBT


def _tried(fitting: BoostedData, held: BoostedData, watched: "xgboost.DMatrix", shape: Shape, seed: int) -> Tried:
    """Trees that are fitted until more of them make the held rows' loss no smaller."""
    import xgboost

    booster = xgboost.train(
        _options(fitting, shape, seed), fitting.matrix(), most_rounds(fitting.n_classes), evals=[(watched, "held")],
        early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    trees = booster.best_iteration + 1
    return Tried(shape, trees, held.losses(booster.predict(watched, iteration_range=(0, trees))))


def fit_each(fit: Callable[[_N], _T], inputs: Iterable[_N], data: BoostedData) -> list[_T]:
    """One fit per input; side by side where each uses one thread: XGBoost lets go of Python's lock."""
    at_once = cores() if threads_for(data.x.size) == 1 else 1
    with ThreadPoolExecutor(at_once, "trees") as pool:
        return list(pool.map(fit, inputs))


def _options(data: BoostedData, shape: Shape, seed: int) -> dict[str, Any]:
    options: dict[str, Any] = {
        "tree_method": "hist", "max_depth": shape.depth, "eta": shape.rate, "subsample": shape.subsample,
        "colsample_bynode": COLUMNS, "seed": seed, "nthread": threads_for(data.x.size), "verbosity": 0,
        "max_bin": data.bins,
    }  # fmt: skip
    if shape.one_hot:
        options["max_cat_to_onehot"] = ONE_HOT_BELOW
    if data.n_classes == 0:
        return options | {"objective": "reg:squarederror", "eval_metric": "rmse"}
    if data.n_classes == 2:
        return options | {"objective": "binary:logistic", "eval_metric": "logloss"}
    return options | {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": data.n_classes}
