"""The forest head: extremely randomised trees on raw columns (Geurts et al. 2006), kept as plain arrays.

Grown by scikit-learn. Its own files would be pickles, so nodes are stored as arrays, and walked through here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Bools, Floats, Ints
from varjepa.inference.heads.aside import threads_for
from varjepa.inference.heads.inputs import Components, HeadRows, tree_inputs

TREES, TRIED = 100, 30
"""Trees of the forest, and of those that choose the size of the leaves."""

COLUMNS = 0.5
"""Share of the columns that a split chooses from."""

LEAVES = (1, 3, 10, 30)
"""Fewest rows of a leaf to choose from."""

MOST_LEAVES = 10_000
"""Leaves per tree, about, so that files stay small."""

SMALLEST = 1e-4
"""Added to a share of trees before its logarithm: no forest holds a class for impossible."""

CHUNK = 2048
"""Rows that walk at a time."""


class Nodes(NamedTuple):
    """Nodes of all trees in a row.

    Attributes:
        feature: column that each node splits by, int32 [M]; -1 for leaves.
        threshold: rows up to it go left, float32 [M].
        children: left and right child, int32 [M, 2]; a leaf has itself.
        gap_left: whether rows without a value go left, bool [M].
        value: class probabilities float32 [M, C], or standardised value [M, 1].
        roots: first node of each tree, int32 [T].
    """

    feature: Tensor
    threshold: Tensor
    children: Tensor
    gap_left: Tensor
    value: Tensor
    roots: Tensor


@dataclass(frozen=True)
class ForestHead:
    """Extremely randomised trees.

    Attributes:
        nodes: of all trees.
        depth: of the deepest tree.
        leaf_rows: fewest training rows of a leaf.
        features: what it reads.
        components: of the embedding; None where only raw columns are read.
        n_classes: C, or 0 for regression.
        center: of the label of a regression.
        spread: of the label of a regression.
    """

    nodes: Nodes
    depth: int
    leaf_rows: int
    features: FEATURES
    components: Components | None
    n_classes: int
    center: float = 0.0
    spread: float = 1.0

    @property
    def kind(self) -> HEAD:
        """Forest."""
        return "forest"

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        x = tree_inputs(rows, self.features, self.components)
        mean = torch.cat([self._mean(x[start : start + CHUNK]) for start in range(0, max(len(x), 1), CHUNK)])
        return (mean + SMALLEST).log() if self.n_classes else mean * self.spread + self.center

    def _mean(self, x: Tensor) -> Tensor:
        """Mean value float64 [N, C] of the leaves that rows [N, F] reach."""
        nodes = self.nodes
        node = nodes.roots.long().expand(len(x), -1)  # [N, T]
        for _ in range(self.depth):
            column = nodes.feature[node].long().clamp(min=0)
            cell = x.gather(1, column)  # [N, T]
            left = torch.where(cell.isnan(), nodes.gap_left[node], cell <= nodes.threshold[node])
            node = nodes.children[node, (~left).long()].long()  # leaves lead to themselves
        return nodes.value[node].double().mean(1)

    def tensors(self) -> dict[str, Tensor]:
        """Nodes and components."""
        components = (
            {} if self.components is None else {"center": self.components.center, "basis": self.components.basis}
        )
        return components | self.nodes._asdict()

    def facts(self) -> dict[str, Any]:
        """Number of classes, sizes, and the scale of the label."""
        sizes = {"n_classes": self.n_classes, "depth": self.depth, "leaf_rows": self.leaf_rows}
        return sizes | {"center": self.center, "spread": self.spread}


def fit_forest(
    rows: HeadRows,
    labels: Tensor,
    features: FEATURES,
    components: Components | None,
    *,
    n_classes: int,
    held: Bools,
    seed: int,
    leaf_rows: int | None = None,
) -> ForestHead:
    """Grows small forests on some training rows, lets the others choose the size of leaves, and grows one on all.

    Args:
        rows: training rows.
        labels: class numbers or values [N].
        features: what to read.
        components: of the embedding.
        n_classes: C, or 0 for regression.
        held: which training rows choose [N].
        seed: of the splits.
        leaf_rows: fewest rows of a leaf, where they are not to be chosen.
    """
    read = None if features == "raw" else components
    x, values = tree_inputs(rows, features, read).cpu().numpy(), labels.double().cpu().numpy()
    center, spread = (0.0, 1.0) if n_classes else (float(values.mean()), float(values.std()) or 1.0)
    y = values.astype(np.int64) if n_classes else (values - center) / spread
    fewest = [leaf_rows] if leaf_rows else [max(size, len(y) // MOST_LEAVES) for size in LEAVES]
    if len(fewest) > 1 and held.any() and not held.all():
        losses = [_held_loss(x, y, held, _forest(n_classes, TRIED, size, seed, x.size)) for size in fewest]
        fewest = [fewest[int(np.argmin(losses))]]
    forest = _forest(n_classes, TREES, fewest[0], seed, x.size).fit(x, y)
    nodes = _nodes([estimator.tree_ for estimator in forest.estimators_], _classes(forest), n_classes)
    depth = max(estimator.tree_.max_depth for estimator in forest.estimators_)
    nodes = Nodes(*(part.to(labels.device) for part in nodes))
    return ForestHead(nodes, depth, fewest[0], features, read, n_classes, center, spread)


def _forest(n_classes: int, trees: int, fewest: int, seed: int, cells: int) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesClassifier if n_classes else ExtraTreesRegressor
    return kind(trees, max_features=COLUMNS, min_samples_leaf=fewest, random_state=seed, n_jobs=threads_for(cells))


def _classes(forest: Any) -> Ints:
    """Numbers of the classes that the forest has seen, in its order."""
    return getattr(forest, "classes_", np.zeros(1, dtype=np.int64))


def _held_loss(x: Floats, y: Floats | Ints, held: Bools, forest: Any) -> float:
    """Mean log loss or squared error on the held rows."""
    forest.fit(x[~held], y[~held])
    if y.dtype.kind == "f":
        return float(((forest.predict(x[held]) - y[held]) ** 2).mean())
    chances, seen = forest.predict_proba(x[held]), forest.classes_
    place = np.searchsorted(seen, y[held]).clip(max=len(seen) - 1)
    chosen = np.where(seen[place] == y[held], chances[np.arange(len(place)), place], 0.0)
    return float(-np.log(chosen + SMALLEST).mean())


def _nodes(trees: Sequence[Any], classes: Ints, n_classes: int) -> Nodes:
    """Nodes of scikit-learn's trees."""
    counts = [tree.node_count for tree in trees]
    roots = np.cumsum([0, *counts[:-1]])
    feature = np.concatenate([tree.feature for tree in trees])
    leaf, own = feature < 0, np.arange(sum(counts))
    offset = np.repeat(roots, counts)
    sides = [np.concatenate([getattr(tree, side) for tree in trees]) for side in ("children_left", "children_right")]
    children = np.stack([np.where(leaf, own, side + offset) for side in sides], axis=1)
    value = np.concatenate([tree.value[:, 0] for tree in trees])  # [M, classes seen], or [M, 1]
    if n_classes:
        every = np.zeros((len(value), n_classes))
        every[:, classes] = value / value.sum(1, keepdims=True)
        value = every
    return Nodes(
        torch.from_numpy(np.where(leaf, -1, feature).astype(np.int32)),
        torch.from_numpy(np.concatenate([tree.threshold for tree in trees]).astype(np.float32)),
        torch.from_numpy(children.astype(np.int32)),
        torch.from_numpy(np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool)),
        torch.from_numpy(value.astype(np.float32)),
        torch.from_numpy(roots.astype(np.int32)),
    )
