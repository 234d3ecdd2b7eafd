"""Intervals of numeric predictions: how large a row's error may be, learned from rows the head was not fitted on."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.evaluation.uncertainty.number_metrics import default_tolerance
from varjepa.evaluation.uncertainty.predictive import METHOD, SMALLEST_STEP, IntervalRule, RowQuantiles
from varjepa.inference.heads.aside import threads_for
from varjepa.inference.heads.candidates import Fitting
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.held_out import held_out_outputs
from varjepa.inference.heads.inputs import Components, HeadRows, tree_inputs, tree_types
from varjepa.inference.heads.labelled import HeadData, folds_of
from varjepa.inference.heads.trees import opened_booster, tree_outputs

if TYPE_CHECKING:
    import xgboost

log = logging.getLogger("varjepa")

SIZE_LEVEL = 0.9
"""The size of a row's error is this quantile of its absolute value."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Levels of the quantiles of errors that trees predict."""

ANSWERS = {"size": 1, "quantiles": len(LEVELS)}
"""Numbers that trees answer with, by what they predict."""

MOST_ROWS = 20_000
"""Most training rows whose errors trees learn from."""

FEWEST_ROWS = 100
"""With fewer training rows there is nothing to learn beyond the size of all errors."""

MOST_TREES, PATIENCE, DEPTH, RATE = 400, 20, 4, 0.1
"""Most rounds of trees, rounds without improvement after which fitting stops, depth, and step size."""

SMALLEST_SIZE = 0.05
"""Smallest size of a row's error, as a share of the median of all sizes in training."""


@dataclass(frozen=True)
class FittedIntervals:
    """Everything fitted for the uncertainty of a regressor.

    Attributes:
        spread: standard deviation of errors on rows that the regressor was not fitted on.
        typical: median size of an error that trees predict for training rows, in units of `spread`.
        components: of the embedding, which trees read beside the raw columns.
        trees: XGBoost's own format (UBJSON) by what they predict: `size` of the error, or its `quantiles`.
        tolerance: error that the certificate tolerates where the configuration says none; from training labels.
        rule: of the intervals; None before a calibration, and where calibration rows are too few.
        certificate: promise for accepted rows; None without calibration rows.
    """

    spread: float
    typical: float
    components: Components | None
    trees: dict[str, bytes]
    tolerance: float
    rule: IntervalRule | None = None
    certificate: Certificate | None = None

    @cached_property
    def boosters(self) -> "dict[str, xgboost.Booster]":
        """The trees, by what they predict; they are checked when they are first needed.

        Raises:
            ModelError: the bytes hold no trees, or others than intervals need.
        """
        return {name: opened_booster(raw, ANSWERS[name]) for name, raw in self.trees.items()}

    @property
    def methods(self) -> tuple[METHOD, ...]:
        """Methods that there are trees for, the simplest first."""
        needs: dict[METHOD, str] = {"split": "", "normalised": "size", "quantile": "quantiles"}
        return tuple(method for method, tree in needs.items() if not tree or tree in self.trees)

    def maps(self, rows: HeadRows, predictions: Floats, method: METHOD) -> RowQuantiles:
        """The map of each row from the standard scale to labels (see `predictive`).

        Args:
            rows: N rows.
            predictions: of the head, [N].
            method: one of `methods`.
        """
        if method == "split":
            return RowQuantiles.around(predictions, np.full(len(predictions), self.spread))
        if method == "normalised":
            return RowQuantiles.around(predictions, self.size(rows, predictions))
        offsets = self.spread * self._predicted("quantiles", rows, predictions).reshape(len(predictions), len(LEVELS))
        return RowQuantiles.of(ndtri(LEVELS), predictions[:, None] + offsets, SMALLEST_STEP * self.spread)

    def size(self, rows: HeadRows, predictions: Floats) -> Floats:
        """Predicted size of each row's error [N], in units of the label; the same for all rows without trees for it."""
        if "size" not in self.trees:
            return np.full(len(predictions), self.spread)
        predicted = self._predicted("size", rows, predictions).reshape(len(predictions))
        return self.spread * np.maximum(predicted, SMALLEST_SIZE * self.typical)

    def _predicted(self, name: str, rows: HeadRows, predictions: Floats) -> Floats:
        x, types = _inputs(rows, predictions, self.components)
        return tree_outputs(self.boosters[name], x, types).astype(np.float64)

    def calibrated(self, rule: IntervalRule | None, certificate: Certificate | None) -> "FittedIntervals":
        """With rule and certificate, and without the trees that they do not need."""
        needed = "quantiles" if rule is not None and rule.method == "quantile" else "size"
        trees = {name: raw for name, raw in self.trees.items() if name == needed}
        return replace(self, rule=rule, certificate=certificate, trees=trees)

    def tensors(self) -> dict[str, Tensor]:
        """Arrays by name, for saving."""
        trees = {f"trees.{name}": torch.frombuffer(bytearray(raw), dtype=torch.uint8)
                 for name, raw in self.trees.items()}  # fmt: skip
        if self.components is None:
            return trees
        return trees | {"center": self.components.center, "basis": self.components.basis}

    def facts(self) -> dict[str, Any]:
        """The rest, as plain data for JSON."""
        return {
            "spread": self.spread, "typical": self.typical, "tolerance": self.tolerance,
            "rule": None if self.rule is None else self.rule.model_dump(),
            "certificate": None if self.certificate is None else self.certificate.model_dump(),
        }  # fmt: skip

    @classmethod
    def of(cls, tensors: dict[str, Tensor], facts: dict[str, Any]) -> "FittedIntervals":
        """The inverse of `tensors` and `facts`."""
        components = Components(tensors["center"], tensors["basis"]) if "basis" in tensors else None
        trees = {name.removeprefix("trees."): value.cpu().numpy().tobytes() for name, value in tensors.items()
                 if name.startswith("trees.")}  # fmt: skip
        rule, certificate = facts["rule"], facts["certificate"]
        return cls(
            facts["spread"], facts["typical"], components, trees, facts["tolerance"],
            None if rule is None else IntervalRule.model_validate(rule),
            None if certificate is None else Certificate.model_validate(certificate),
        )  # fmt: skip


def _inputs(rows: HeadRows, predictions: Floats, components: Components | None) -> tuple[np.ndarray, list[str]]:
    """What trees read: raw columns, the embedding, and the prediction; float32 [N, F] and types [F]."""
    x = tree_inputs(rows, "both", components).cpu().numpy()
    types = [*tree_types(rows.table, "both", components), "q"]
    return np.column_stack([x, predictions.astype(np.float32)]), types


def fit_intervals(fitting: Fitting, head: Head) -> FittedIntervals:
    """Learns the size and the quantiles of errors on training rows; choice, rule and certificate come later.

    A fifth of the rows says when to stop.

    Args:
        fitting: of the heads, with training rows.
        head: the regressor that ships.
    """
    labels = fitting.train.labels.double().cpu().numpy()
    train, folds = _drawn(fitting.train, fitting.seed)
    if len(labels) <= MOST_ROWS:  # the choice of the head has needed the same
        predictions = fitting.held_out(head)[:, 0]
    else:
        predictions = held_out_outputs(head, train, folds, n_classes=0, seed=fitting.seed)[:, 0]
    error = train.labels.double().cpu().numpy() - predictions
    spread = float(error.std()) or 1.0
    held = folds == 0
    if len(error) < FEWEST_ROWS or held.all():  # all rows of one cluster leave none to fit on
        return FittedIntervals(spread, 1.0, None, {}, default_tolerance(labels))
    log.info("intervals: fitting trees to %s errors", f"{len(error):,}")
    x, types = _inputs(train.rows, predictions, fitting.components)
    scaled = error / spread
    data = _Errors(x, types, held, fitting.seed)
    size, quantiles = data.trees(np.abs(scaled), (SIZE_LEVEL,)), data.trees(scaled, LEVELS)
    fitted = FittedIntervals(
        spread, 1.0, fitting.components, {"size": size, "quantiles": quantiles}, default_tolerance(labels)
    )
    typical = float(np.median(fitted.size(train.rows, predictions))) / spread
    return replace(fitted, typical=typical)


def _drawn(data: HeadData, seed: int) -> tuple[HeadData, Ints]:
    """At most `MOST_ROWS` of the rows, drawn at random, in their order; and their folds, those of the head."""
    folds = folds_of(len(data.labels), data.clusters, seed)
    if len(data.labels) <= MOST_ROWS:
        return data, folds
    picks = np.sort(np.random.default_rng([seed, 38]).permutation(len(data.labels))[:MOST_ROWS])
    index = torch.from_numpy(picks).to(data.labels.device)
    clusters = None if data.clusters is None else data.clusters[picks]
    return HeadData(data.rows.take(index), data.labels[index], clusters), folds[picks]


class _Errors(NamedTuple):
    """Inputs [N, F] of trees, their types [F], which rows [N] say when to stop, and the seed of subsamples."""

    x: np.ndarray
    types: list[str]
    held: Bools
    seed: int

    def trees(self, y: Floats, levels: tuple[float, ...]) -> bytes:
        """Trees that predict quantiles of y [N], as XGBoost's UBJSON."""
        import xgboost

        options = {
            "objective": "reg:quantileerror", "quantile_alpha": list(levels), "tree_method": "hist", "max_depth": DEPTH,
            "eta": RATE, "subsample": 0.8, "colsample_bynode": 0.6, "min_child_weight": 10, "seed": self.seed,
            "nthread": threads_for(self.x.size), "verbosity": 0,
        }  # fmt: skip
        fit, watch = (
            xgboost.DMatrix(self.x[rows], label=y[rows], feature_types=self.types, enable_categorical=True,
                            nthread=threads_for(self.x.size))
            for rows in (~self.held, self.held)
        )  # fmt: skip
        booster = xgboost.train(
            options, fit, MOST_TREES, evals=[(watch, "held")], early_stopping_rounds=PATIENCE, verbose_eval=False
        )
        return bytes(booster[: booster.best_iteration + 1].save_raw("ubj"))
