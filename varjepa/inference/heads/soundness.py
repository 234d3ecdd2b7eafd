"""Whether a head that was read from files fits its model: shapes, indices and ranges."""

import math
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from varjepa.config.heads import FEATURES
from varjepa.data.tensors.sizes import TableSizes
from varjepa.evaluation.probe import LinearProbe
from varjepa.inference.heads.boosted import BoostedHead
from varjepa.inference.heads.forest import ForestHead, Nodes
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import Components
from varjepa.inference.heads.label_transform import LabelTransform, TransformedHead
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.mlp import MLPHead
from varjepa.inference.heads.stacked import StackedHead
from varjepa.inference.ranges import require, rises

TOLERANCE = 1e-3
"""Of sums of probabilities."""


def require_shape(name: str, values: Tensor, *shape: int | None, dtype: torch.dtype = torch.float32) -> None:
    """Checks type and shape of an array; None allows any positive size.

    Raises:
        ValueError: it has another.
    """
    fits = len(shape) == values.dim() and all(
        own == size if size is not None else own > 0 for own, size in zip(values.shape, shape, strict=False)
    )
    wanted = ", ".join("any" if size is None else str(size) for size in shape)
    require(
        fits and values.dtype == dtype,
        f"{name} is {values.dtype} {tuple(values.shape)}, expected {dtype} ({wanted})",
    )


def require_probe(name: str, probe: LinearProbe, inputs: int, outputs: int) -> None:
    """Checks a linear probe.

    Raises:
        ValueError: it has other inputs or outputs, or divides by nothing.
    """
    require_shape(f"{name}.weight", probe.weight, outputs, inputs)
    require_shape(f"{name}.bias", probe.bias, outputs)
    require_shape(f"{name}.center", probe.center, inputs)
    require_shape(f"{name}.spread", probe.spread, inputs)
    require(bool((probe.spread > 0).all()), f"{name}.spread is not above 0")
    require(math.isfinite(probe.l2) and probe.l2 >= 0, f"the penalty of {name} is {probe.l2}")


@dataclass(frozen=True)
class HeadSizes:
    """What a head must fit.

    Attributes:
        flat: numbers of a row's embedding.
        table: of the encoded table.
        n_classes: C, or 0 for regression.
    """

    flat: int
    table: TableSizes
    n_classes: int

    @property
    def outputs(self) -> int:
        """Numbers that a head answers with."""
        return self.n_classes or 1

    def tree_inputs(self, features: FEATURES, components: Components | None) -> int:
        """Columns that trees read (see `inputs.tree_inputs`)."""
        return (self.table.n_features if features != "embedding" else 0) + self._components(features, components)

    def linear_inputs(self, head: LinearHead) -> int:
        """Inputs of a linear model (see `linear.linear_inputs`)."""
        return (self.flat if head.features != "raw" else 0) + (head.columns.width if head.columns else 0)

    @staticmethod
    def _components(features: FEATURES, components: Components | None) -> int:
        return 0 if features == "raw" or components is None else components.basis.shape[1]


def require_head(head: Head, sizes: HeadSizes) -> None:
    """Checks a head.

    Raises:
        ValueError: it does not fit the model, or is none.
    """
    require(head.features in get_args(FEATURES), f"a head reads {head.features}")
    match head:
        case TransformedHead():
            _require_transformed(head, sizes)
        case StackedHead():
            _require_stacked(head, sizes)
        case LinearHead():
            require_probe("head", head.probe, sizes.linear_inputs(head), sizes.outputs)
        case BoostedHead() | ForestHead() | MLPHead():
            _require_label(head, sizes)
            _require_components(head.components, head.features, sizes)
            if isinstance(head, ForestHead):
                _require_forest(head, sizes)


def _require_label(head: BoostedHead | ForestHead | MLPHead, sizes: HeadSizes) -> None:
    require(head.n_classes == sizes.n_classes, f"the head has {head.n_classes} classes, expected {sizes.n_classes}")
    sound = math.isfinite(head.center) and math.isfinite(head.spread) and head.spread > 0
    require(sound, f"the label's center and spread are {head.center} and {head.spread}")


def _require_components(components: Components | None, features: FEATURES, sizes: HeadSizes) -> None:
    require((components is None) == (features == "raw"), "the components of the embedding are missing or too many")
    if components is not None:
        require_shape("center", components.center, sizes.flat)
        require_shape("basis", components.basis, sizes.flat, None)


def _require_transformed(head: TransformedHead, sizes: HeadSizes) -> None:
    require(sizes.n_classes == 0, "a transformed label has no classes")
    require(not isinstance(head.head, TransformedHead), "a label is transformed once")
    numbers = (*head.errors, head.low, head.high)
    sound = len(head.errors) > 0 and all(map(math.isfinite, numbers)) and head.low <= head.high
    require(sound, "the errors or the ends of a transformed label are no numbers in order")
    require_transform(head.transform)
    require_head(head.head, sizes)


def require_transform(transform: LabelTransform) -> None:
    """Checks the transformation of a label.

    Raises:
        ValueError: it does not rise.
    """
    require(transform.scale > 0, f"the scale of the label is {transform.scale}")
    if transform.name == "quantile":
        knots, scores = transform.knots, transform.scores
        require(len(knots) == len(scores) > 0 and rises(knots) and rises(scores), "the label's knots do not rise")


def _require_stacked(head: StackedHead, sizes: HeadSizes) -> None:
    weights, members = head.weights, head.members
    sound = len(weights) == len(members) > 0 and all(math.isfinite(weight) and weight >= 0 for weight in weights)
    require(sound, "the weights of a stacked head are no numbers of at least 0, one per member")
    for member in members:
        require(not isinstance(member, StackedHead), "a stacked head has a stacked member")
        require_head(member, sizes)


def _require_forest(head: ForestHead, sizes: HeadSizes) -> None:
    nodes, inputs = head.nodes, sizes.tree_inputs(head.features, head.components)
    count = len(nodes.feature)
    require_shape("feature", nodes.feature, None, dtype=torch.int32)
    require_shape("threshold", nodes.threshold, count)
    require_shape("children", nodes.children, count, 2, dtype=torch.int32)
    require_shape("gap_left", nodes.gap_left, count, dtype=torch.bool)
    require_shape("value", nodes.value, count, sizes.outputs)
    require_shape("roots", nodes.roots, None, dtype=torch.int32)
    require(_within(nodes.feature, -1, inputs), "a node splits by a column that is not there")
    require(_within(nodes.roots, 0, count), "a tree begins at no node")
    if sizes.n_classes:
        sums = nodes.value.sum(1)
        sound = bool((nodes.value >= 0).all()) and bool(((sums - 1).abs() < TOLERANCE).all())
        require(sound, "the values of a node are no probabilities")
    _require_paths(nodes, head.depth)


def _require_paths(nodes: Nodes, depth: int) -> None:
    """Checks that every tree ends: children are later nodes, and after `depth` of them all rows are at leaves."""
    own = torch.arange(len(nodes.feature), device=nodes.feature.device)[:, None]
    leaf = (nodes.feature < 0)[:, None]
    later = (nodes.children > own) & (nodes.children < len(nodes.feature))
    require(bool(torch.where(leaf, nodes.children == own, later).all()), "a child is no later node")
    require(0 <= depth < len(nodes.feature), f"a forest of {len(nodes.feature)} nodes has a depth of {depth}")
    level = nodes.roots.long().unique()
    for _ in range(depth):
        level = nodes.children[level].long().flatten().unique()
    require(bool((nodes.feature[level] < 0).all()), f"a tree is deeper than {depth}")


def _within(values: Tensor, low: int, end: int) -> bool:
    return bool(((values >= low) & (values < end)).all())


def open_trees(head: Head | None) -> None:
    """Reads the trees of a head, if it has any.

    Raises:
        ModelError: they are not sound.
    """
    match head:
        case TransformedHead():
            open_trees(head.head)
        case StackedHead():
            for member in head.members:
                open_trees(member)
        case BoostedHead():
            _ = head.booster
