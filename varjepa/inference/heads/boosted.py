"""The boosted head: gradient-boosted trees, which take categories and gaps as they are and stop early."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from varjepa.config.heads import FEATURES, HEAD
from varjepa.evaluation.arrays import Bools
from varjepa.inference.heads.inputs import Components, HeadRows, tree_inputs, tree_types
from varjepa.inference.heads.tree_growth import BoostedData, Shape, boosted_again, chosen_shape, fit_each, random_of
from varjepa.inference.heads.trees import opened_booster, tree_outputs

if TYPE_CHECKING:
    import xgboost


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

    @property
    def answers(self) -> int:
        """Numbers that the trees say of a row: XGBoost gives the logit of the second of two classes only."""
        return self.n_classes if self.n_classes > 2 else 1

    @cached_property
    def booster(self) -> "xgboost.Booster":
        """The trees, which are checked when they are first needed.

        Raises:
            ModelError: the bytes hold no trees, or others than the head needs.
        """
        return opened_booster(self.model, self.answers)

    def outputs(self, rows: HeadRows) -> Tensor:
        """Logits float64 [N, C], or values [N, 1]."""
        x = tree_inputs(rows, self.features, self.components).cpu().numpy()
        types = tree_types(rows.table, self.features, self.components)
        found = tree_outputs(self.booster, x, types, margin=True)
        margins = torch.from_numpy(found).double().to(rows.flat.device)
        if self.n_classes == 0:
            return margins.view(-1, 1) * self.spread + self.center
        if self.n_classes == 2:  # [N]
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
    clusters: np.ndarray | None = None,
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
        clusters: training rows with the same number belong together [N]; None for independent rows.
    """
    values = labels.double().cpu().numpy()
    center, spread = (0.0, 1.0) if n_classes else (float(values.mean()), float(values.std()) or 1.0)
    read = None if features == "raw" else components
    empty = BoostedHead(b"", features, read, n_classes, Shape(), center, spread)
    data, mixed = boosted_data(empty, rows, labels, clusters), bool(held.any()) and not bool(held.all())
    shape, trees = chosen_shape(data.of(~held), data.of(held), seed) if mixed else (empty.shape, 100)
    return replace(empty, model=boosted_again(data, shape, trees, seed=seed), shape=shape)


def boosted_data(head: BoostedHead, rows: HeadRows, labels: Tensor, clusters: np.ndarray | None = None) -> BoostedData:
    """Rows as the trees of a head read them, with class numbers or values [N]; values become standardised ones."""
    y = (labels.double().cpu().numpy() - head.center) / head.spread
    types = tree_types(rows.table, head.features, head.components)
    x = tree_inputs(rows, head.features, head.components).cpu().numpy()
    return BoostedData(x, y, types, head.n_classes, clusters)


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
    data, trees, rng = boosted_data(head, rows, labels), head.booster.num_boosted_rounds(), random_of(seed)
    picks = [rng.integers(len(labels), size=len(labels)) for _ in range(count)]
    models = fit_each(lambda number: boosted_again(data.of(picks[number]), head.shape, trees, seed=seed + number),
                      range(count), data)  # fmt: skip
    return tuple(replace(head, model=model) for model in models)
