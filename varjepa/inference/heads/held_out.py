"""Predictions of training rows by regressors that were not fitted on them, which show how large errors really are."""

from dataclasses import replace

import numpy as np
import torch

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.probe import fit_probe
from varjepa.inference.heads.boosted import BoostedHead
from varjepa.inference.heads.candidates import HeadData, all_outputs
from varjepa.inference.heads.forest import ForestHead, fit_forest
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import tree_inputs, tree_types
from varjepa.inference.heads.label_transform import TransformedHead
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.mlp import MLPHead
from varjepa.inference.heads.stacked import StackedHead
from varjepa.inference.heads.tree_growth import BoostedData, boosted_again


def held_out_values(head: Head, train: HeadData, folds: Ints, seed: int) -> Floats:
    """Values [N] for training rows, each by a regressor of the same kind and size, fitted on the other folds.

    Args:
        head: a regressor that was fitted on the rows.
        train: the rows.
        folds: fold of each row [N], those that the head's own networks held out (`folds_of`).
        seed: of the subsamples of trees.

    Raises:
        TypeError: an unknown kind of head.
    """
    if isinstance(head, StackedHead):
        each = [held_out_values(member, train, folds, seed) for member in head.members]
        return np.tensordot(head.weights, np.stack(each), axes=1)
    if isinstance(head, TransformedHead):
        labels = torch.from_numpy(head.transform.forward(train.labels.double().cpu().numpy()))
        inner = held_out_values(head.head, train._replace(labels=labels.to(train.labels.device)), folds, seed)
        return head.original(inner)
    if isinstance(head, MLPHead):
        return _by_networks(head, train, folds)
    values = np.zeros(len(folds))
    for number in np.unique(folds):
        held = folds == number
        if held.all():  # a single fold: there are no other rows
            return all_outputs(head, train.rows)[:, 0]
        values[held] = all_outputs(_refitted(head, train, ~held, seed), train.rows.take(_index(held)))[:, 0]
    return values


def _index(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.flatnonzero(rows))


def _refitted(head: Head, train: HeadData, rows: np.ndarray, seed: int) -> Head:
    """The head, fitted again on some of the rows."""
    part, labels = train.rows.take(_index(rows)), train.labels[_index(rows)]
    if isinstance(head, LinearHead):
        return replace(head, probe=fit_probe(head.inputs(part), labels, n_classes=0, l2=head.probe.l2))
    if isinstance(head, BoostedHead):
        x = tree_inputs(part, head.features, head.components).cpu().numpy()
        y = (labels.double().cpu().numpy() - head.center) / head.spread
        data = BoostedData(x, y, tree_types(part.table, head.features, head.components), 0)
        return replace(head, model=boosted_again(data, head.shape, head.booster.num_boosted_rounds(), seed=seed))
    if isinstance(head, ForestHead):
        none = np.zeros(len(labels), dtype=bool)  # no rows choose the size of leaves again
        return fit_forest(
            part, labels, head.features, head.components, n_classes=0, held=none, seed=seed, leaf_rows=head.leaf_rows
        )
    raise TypeError(f"there is no way to fit a head of kind {head.kind} again")


def _by_networks(head: MLPHead, train: HeadData, folds: Ints) -> Floats:
    """Values by the network that has not learned from the row's fold."""
    each = head.each(train.rows)[:, :, 0].cpu().numpy()  # [K, N]
    numbers = np.unique(folds)
    if len(numbers) != len(each):  # one network for all rows
        return each.mean(0)
    return each[np.searchsorted(numbers, folds), np.arange(len(folds))]
