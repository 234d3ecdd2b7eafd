"""Outputs for training rows by heads that were not fitted on them, which show how good a head of this kind really is.

Stone (1974), Cross-validatory choice and assessment of statistical predictions. A head is fitted again without each
fold in turn. Its penalty, the shape and number of its trees or the size of its leaves are known by then, so that this
takes about as long as the first fit, or less. Networks left out a fold each anyway.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.probe import fit_probe
from varjepa.inference.heads.boosted import BoostedHead, boosted_data
from varjepa.inference.heads.forest import ForestHead, fit_forest
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.label_transform import TransformedHead
from varjepa.inference.heads.labelled import HeadData, all_outputs
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.mlp import MLPHead
from varjepa.inference.heads.stacked import StackedHead, combined
from varjepa.inference.heads.tree_growth import boosted_again, fit_each
from varjepa.inference.heads.trees import trust

REFIT_ITERATIONS = 50
"""Iterations of a linear model that is fitted again on some of the training rows."""


def held_out_outputs(head: Head, train: HeadData, folds: Ints, *, n_classes: int, seed: int) -> Floats:
    """Outputs [N, C] or [N, 1] for training rows, each by a head of the same kind that was fitted on the other folds.

    Args:
        head: fitted on the rows.
        train: the rows.
        folds: fold of each row [N], those that the head's own networks held out (`folds_of`).
        n_classes: C, or 0 for regression.
        seed: of the subsamples of trees.

    Raises:
        TypeError: an unknown kind of head.
    """
    if isinstance(head, StackedHead):
        each = [held_out_outputs(member, train, folds, n_classes=n_classes, seed=seed) for member in head.members]
        return combined(head.weights, each)
    if isinstance(head, TransformedHead):
        labels = torch.from_numpy(head.transform.forward(train.labels.double().cpu().numpy()))
        inner = train._replace(labels=labels.to(train.labels.device))
        return head.original(held_out_outputs(head.head, inner, folds, n_classes=0, seed=seed)[:, 0])[:, None]
    if isinstance(head, MLPHead):
        return _by_networks(head, train.rows, folds)
    numbers = np.unique(folds)
    if len(numbers) == 1:  # there are no other rows
        return all_outputs(head, train.rows)

    def of_fold(number: int) -> Floats:
        others, own = (torch.from_numpy(np.flatnonzero(rows)) for rows in (folds != number, folds == number))
        again = _refitted(head, train.rows.take(others), train.labels[others], n_classes, seed)
        return all_outputs(again, train.rows.take(own))

    if isinstance(head, BoostedHead):
        each = fit_each(of_fold, numbers, boosted_data(head, train.rows, train.labels))
    else:
        each = [of_fold(number) for number in numbers]
    outputs = np.zeros((len(folds), max(n_classes, 1)))
    for number, found in zip(numbers, each, strict=True):
        outputs[folds == number] = found
    return outputs


def _refitted(head: Head, rows: HeadRows, labels: Tensor, n_classes: int, seed: int) -> Head:
    """The same kind of head, fitted on these rows."""
    if isinstance(head, LinearHead):
        inputs, l2 = head.inputs(rows), head.probe.l2
        probe = fit_probe(
            inputs, labels, n_classes=n_classes, l2=l2, max_iterations=REFIT_ITERATIONS, like=head.probe
        )  # fmt: skip
        return replace(head, probe=probe)
    if isinstance(head, BoostedHead):
        data, trees = boosted_data(head, rows, labels), head.booster.num_boosted_rounds()
        again = replace(head, model=boosted_again(data, head.shape, trees, seed=seed))
        trust(again.model, again.answers)
        return again
    if isinstance(head, ForestHead):
        none = np.zeros(len(labels), dtype=bool)  # no rows choose the size of leaves again
        return fit_forest(
            rows, labels, head.features, head.components, n_classes=n_classes, held=none, seed=seed,
            leaf_rows=head.leaf_rows,
        )  # fmt: skip
    raise TypeError(f"there is no way to fit a head of kind {head.kind} again")


def _by_networks(head: MLPHead, rows: HeadRows, folds: Ints) -> Floats:
    """Outputs by the network that has not learned from the row's fold."""
    each = head.each(rows).cpu().numpy()  # [K, N, C]
    numbers = np.unique(folds)
    if len(numbers) != len(each):  # one network for all rows
        return all_outputs(head, rows)
    return each[np.searchsorted(numbers, folds), np.arange(len(folds))]
