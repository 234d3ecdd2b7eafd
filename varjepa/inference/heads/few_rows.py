"""More rows to compare heads on where validation rows are few: training rows, each predicted without its fold.

Stone (1974), Cross-validatory choice and assessment of statistical predictions. Only linear models and boosted trees
are fitted again: with their penalty, shape and number of trees known, that takes a fraction of the first fit.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.probe import fit_probe
from varjepa.inference.heads.boosted import BoostedHead, boosted_data
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.tree_growth import boosted_again
from varjepa.inference.heads.trees import trust

ENOUGH = 1000
"""Validation rows that choose alone."""

MOST = 20_000
"""Training rows up to which heads are fitted again."""


def refitted_outputs(head: Head, rows: HeadRows, labels: Tensor, folds: Ints, *, n_classes: int, seed: int) -> Floats:
    """Outputs of heads like this one, for each row of a head that was fitted without the row's fold.

    Args:
        head: linear or boosted, fitted on all of the rows.
        rows: training rows.
        labels: class numbers or values [N].
        folds: of each row [N].
        n_classes: C, or 0 for regression.
        seed: of the trees.

    Returns:
        float64 [N, C], or [N, 1].
    """
    outputs = torch.zeros(len(labels), max(n_classes, 1), dtype=torch.float64)
    for fold in np.unique(folds):
        held = torch.from_numpy(folds == fold).to(labels.device)
        other = _refitted(head, rows.take(~held), labels[~held], n_classes, seed)
        outputs[held.cpu()] = other.outputs(rows.take(held)).cpu()
    return outputs.numpy()


def _refitted(head: Head, rows: HeadRows, labels: Tensor, n_classes: int, seed: int) -> Head:
    """The same kind of head, fitted on these rows."""
    if isinstance(head, LinearHead):
        return replace(head, probe=fit_probe(head.inputs(rows), labels, n_classes=n_classes, l2=head.probe.l2))
    if isinstance(head, BoostedHead):
        data, trees = boosted_data(head, rows, labels), head.booster.num_boosted_rounds()
        again = replace(head, model=boosted_again(data, head.shape, trees, seed=seed))
        trust(again.model, again.answers)
        return again
    raise TypeError(f"{head.kind} is not fitted again")
