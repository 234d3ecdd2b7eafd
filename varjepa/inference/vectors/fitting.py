"""Fits the basis of compact vectors on training rows, and chooses its shape by hidden cells of other rows."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from varjepa.data.tensors.sizes import rows_within
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.vectors.compact import CompactBasis, fit_bases
from varjepa.inference.vectors.recovery import average, hide_cells, is_clearly_better, recovered_shares
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork

MOST_ROWS = 10_000
"""Training rows that a basis is fitted on."""

MOST_NUMBERS = 2**25
"""Numbers of their embeddings in memory: of wide tables fewer rows are used, but at least `FEWEST_ROWS`."""

FEWEST_ROWS = 512


def fitting_rows(features: int, width: int) -> int:
    """Number of training rows that a basis is fitted on.

    Examples:
        >>> fitting_rows(14, 64), fitting_rows(784, 64)
        (10000, 668)
    """
    return rows_within(MOST_NUMBERS, features * width, fewest=FEWEST_ROWS, most=MOST_ROWS)


def fit_compact(
    network: TableNetwork, train: TableTensors, validation: TableTensors, *, known: Tensor | None = None, seed: int = 0
) -> CompactBasis:
    """The basis of the usual shape, or of another one whose neighbours recover hidden cells clearly better.

    Args:
        network: trained, on the device of the rows.
        train: training rows; of many a sample is taken.
        validation: rows in which cells are hidden. Without any, the usual shape is taken.
        known: embeddings of the training rows [N, D, d]; None embeds them.
        seed: of the draws.
    """
    most = fitting_rows(train.observed.shape[1], network.d_hidden)
    picks = np.sort(np.random.default_rng([seed, 42]).permutation(train.n_rows)[:most])
    train = train.rows(torch.from_numpy(picks).to(train.device))
    embedding = embed(network, train).mean if known is None else known[torch.from_numpy(picks).to(known.device)]
    hidden = hide_cells(network, train, validation, seed=seed)
    bases, flat = fit_bases(embedding, seed=seed), embedding.flatten(1)
    shares = [recovered_shares(basis, flat, hidden) for basis in bases]
    averages = [average(each) for each in shares]
    # Recovery is an estimate, and the best of many estimates flatters itself: the usual shape stays unless beaten.
    better = [number for number, each in enumerate(shares) if is_clearly_better(each, shares[0])]
    best = max(better, key=averages.__getitem__, default=0)
    return replace(bases[best], recovered=averages[best])
