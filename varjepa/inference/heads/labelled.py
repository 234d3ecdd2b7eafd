"""Rows with labels: what heads are fitted on and chosen by, their folds, and outputs for many of them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.evaluation.arrays import Floats
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import HeadRows

FOLDS = 5
"""Folds of training rows, and of the rows that weight a stacked head."""

CHUNK = 8192
"""Rows predicted at a time."""


class HeadData(NamedTuple):
    """Rows with labels.

    Attributes:
        rows: embeddings and cells of N rows.
        labels: class numbers or values [N].
        clusters: uint64 [N], rows with the same number belong together; None for independent rows.
    """

    rows: HeadRows
    labels: Tensor
    clusters: NDArray[np.uint64] | None = None


def folds_of(rows: int, clusters: NDArray[np.uint64] | None, seed: int) -> NDArray[np.int64]:
    """The fold of each row [N], 0 to `FOLDS` - 1; rows of a cluster are in one fold."""
    numbers = np.arange(rows) if clusters is None else np.unique(clusters, return_inverse=True)[1]  # [N]
    order = np.random.default_rng([seed, 34]).permutation(int(numbers.max(initial=-1)) + 1)
    return order[numbers] % FOLDS


def all_outputs(head: Head, rows: HeadRows) -> Floats:
    """Outputs of a head for many rows, [N, C] or [N, 1]."""
    count = len(rows.flat)
    parts = [head.outputs(rows.take(slice(start, start + CHUNK))).cpu() for start in range(0, max(count, 1), CHUNK)]
    return torch.cat(parts).numpy()
