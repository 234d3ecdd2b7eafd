"""Classifiers and regressors of a few labelled rows: on raw columns, on the embedding, and on both.

The embedding comes from all rows; only the labels are few. Whatever a method chooses, it chooses within them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.evaluation.probe import fit_probe
from varjepa.inference.heads.boosted import fit_boosted
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import Components, RawColumns
from varjepa.inference.heads.labelled import HeadData, all_outputs
from varjepa.inference.heads.linear import fit_linear, linear_inputs

METHODS: dict[str, tuple[HEAD, FEATURES]] = {
    "raw trees": ("boosted", "raw"),
    "raw linear": ("linear", "raw"),
    "embedding linear": ("linear", "embedding"),
    "trees on both": ("boosted", "both"),
}
"""What is compared: names as in `varjepa.evaluation.label_curves` -> kind of head and what it reads."""

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties of linear heads: few labels need larger ones than `probe.l2` offers."""

HELD = 5
"""One labelled row in so many chooses penalties, and depth and number of trees; then all are fitted on."""


def draw_labelled(labels: Tensor, count: int, *, n_classes: int, seed: int) -> Ints:
    """Draws rows whose labels are known, stratified by class.

    Args:
        labels: class numbers or values [N].
        count: rows to draw; all of them if there are fewer.
        n_classes: C, or 0 for regression, where rows are drawn at random.
        seed: of the draw.

    Returns:
        Sorted positions [min(count, N)]. Classes have their shares up to rounding, and each that there is at least one
        row if `count` allows it.
    """
    rng, total = np.random.default_rng([seed, 41]), len(labels)
    if count >= total:
        return np.arange(total)
    if not n_classes:
        return np.sort(rng.choice(total, count, replace=False))
    numbers = labels.cpu().numpy().astype(np.int64)
    _, places, sizes = np.unique(numbers, return_inverse=True, return_counts=True)  # [N], [K]
    wanted = shares(sizes, count)
    picks = [rng.choice(np.flatnonzero(places == k), int(n), replace=False) for k, n in enumerate(wanted)]
    return np.sort(np.concatenate(picks))


def shares(sizes: Ints, count: int) -> Ints:
    """How many rows to draw of each class, in proportion, at least one of each if possible.

    Args:
        sizes: rows of each class [K], above 0.
        count: rows to draw, at most their sum.

    Examples:
        >>> shares(np.array([900, 95, 5]), 20).tolist()
        [18, 1, 1]
    """
    exact = sizes * (count / sizes.sum())
    drawn = np.floor(exact).astype(np.int64)
    if count >= len(sizes):
        drawn = np.maximum(drawn, 1)
    while (rest := count - drawn.sum()) != 0:
        # The class that is furthest below (above) its share gets one row more (less).
        lacking = (
            np.where(drawn < sizes, exact - drawn, -np.inf) if rest > 0 else np.where(drawn > 1, drawn - exact, -np.inf)
        )
        drawn[int(lacking.argmax())] += 1 if rest > 0 else -1
    return drawn


def held_out(labels: Tensor, *, n_classes: int, seed: int) -> Bools:
    """Which labelled rows choose settings [n]: one in `HELD` of each class, and never the last one of a class."""
    rng, order = np.random.default_rng([seed, 42]), np.arange(len(labels))
    groups = [order] if not n_classes else [order[labels.cpu().numpy() == k] for k in range(n_classes)]
    held = np.zeros(len(labels), dtype=bool)
    for group in groups:
        most = max(0, len(group) - 1)
        held[rng.permutation(group)[: min(most, round(len(group) / HELD))]] = True
    return held


def fitted_head(
    kind: HEAD, features: FEATURES, data: HeadData, components: Components, preprocessor: Preprocessor, *,
    n_classes: int, seed: int,
) -> Head:  # fmt: skip
    """A head fitted on labelled rows, its settings chosen within them.

    Args:
        kind: linear or boosted.
        features: what to read.
        data: the labelled rows.
        components: of the embeddings of all training rows; they need no label.
        preprocessor: of the table.
        n_classes: C, or 0 for regression.
        seed: of held rows and subsamples.
    """
    held = held_out(data.labels, n_classes=n_classes, seed=seed)
    if kind == "boosted":
        return fit_boosted(
            data.rows, data.labels, features, components, n_classes=n_classes, held=held, seed=seed
        )  # fmt: skip
    fitting, choosing = ((data.rows.take(index), data.labels[index]) for index in map(_places, (~held, held)))
    readings = RawColumns.readings(preprocessor)
    chosen = fit_linear(fitting, choosing, features, readings, n_classes=n_classes, l2=PENALTIES)
    inputs = linear_inputs(data.rows, features, chosen.columns)
    probe = fit_probe(inputs, data.labels, n_classes=n_classes, l2=chosen.probe.l2, like=chosen.probe)
    return replace(chosen, probe=probe)


def _places(mask: Bools) -> Tensor:
    return torch.from_numpy(np.flatnonzero(mask))


def goodness_of(outputs: Floats, labels: NDArray[np.float64], spread: float) -> Floats:
    """Goodness per test row [N] whose mean is the accuracy, or R2.

    Args:
        outputs: logits [N, C], or values [N, 1].
        labels: class numbers or values [N].
        spread: variance of the values, for R2.
    """
    if outputs.shape[1] > 1:
        return (outputs.argmax(1) == labels).astype(np.float64)
    return 1 - (outputs[:, 0] - labels) ** 2 / spread


def spread_of(tests: Floats, training: Floats) -> float:
    """Variance of test values, which errors are compared with; of training values where these are equal and have no R2.

    Examples:
        >>> spread_of(np.array([1.0, 3.0]), np.array([0.0, 4.0])), spread_of(np.ones(2), np.array([0.0, 4.0]))
        (1.0, 4.0)
    """
    return float(tests.var()) or float(training.var()) or 1.0


def label_goodness(
    train: HeadData, test: HeadData, preprocessor: Preprocessor, components: Components, *, count: int,
    seeds: Sequence[int],
) -> dict[str, Floats]:  # fmt: skip
    """Goodness of every method on test rows, fitted on `count` labelled rows, one draw of them per seed.

    Args:
        train: all labelled training rows.
        test: labelled test rows, at least two.
        preprocessor: of the table, with a label.
        components: of the embeddings of all training rows.
        count: labelled rows to fit on; all of them if there are fewer.
        seeds: R draws.

    Returns:
        Method -> float64 [R, N].
    """
    n_classes = len(preprocessor.label.classes) if preprocessor.label is not None else 0
    truth = test.labels.double().cpu().numpy()
    spread = spread_of(truth, train.labels.double().cpu().numpy())
    goodness: dict[str, list[Floats]] = {method: [] for method in METHODS}
    for seed in seeds:
        picks = torch.from_numpy(draw_labelled(train.labels, count, n_classes=n_classes, seed=seed))
        drawn = HeadData(train.rows.take(picks), train.labels[picks])
        for method, (kind, features) in METHODS.items():
            head = fitted_head(kind, features, drawn, components, preprocessor, n_classes=n_classes, seed=seed)
            goodness[method].append(goodness_of(all_outputs(head, test.rows), truth, spread))
    return {method: np.stack(values) for method, values in goodness.items()}
