"""How good neighbours are, without labels: what they say about a cell that is hidden from the model.

A feature is hidden in some rows. The nearest training rows then guess it: by their mean, or by the shares of their
categories. If neighbours share what the model does not see, they are neighbours for a reason.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from varjepa.data.tensors.sizes import rows_within
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.hidden_cells import without
from varjepa.inference.vectors.compact import USUAL, CompactBasis
from varjepa.models.embedding import embed
from varjepa.models.network import TableNetwork

NEIGHBOURS = 10
MOST_FEATURES, MOST_ROWS = 24, 300
"""Features that are hidden, drawn at random of many; and rows in which each is."""

MOST_CELLS = 2**21
"""Cells of the rows that are embedded without a feature: of wide tables fewer rows are used."""

CLEAR = 2.0
"""Standard errors by which a choice must be better than the usual one."""


class HiddenCells(NamedTuple):
    """Rows in which one feature is hidden.

    Attributes:
        feature: its number.
        embedding: of the rows without it, flat [n, D d].
        targets: what was hidden [n, C]: the number, or one column per code.
        known: the same of the training rows [R, C]; NaN where it is missing.
    """

    feature: int
    embedding: Tensor
    targets: Tensor
    known: Tensor


def hide_cells(network: TableNetwork, train: TableTensors, rows: TableTensors, *, seed: int = 0) -> list[HiddenCells]:
    """Hides features of rows one by one.

    Args:
        network: trained.
        train: rows among which neighbours are looked for.
        rows: others, in which features are hidden.
        seed: of the draw of features and rows.
    """
    random, hidden = np.random.default_rng([seed, 41]), []
    features = random.permutation(rows.observed.shape[1])[:MOST_FEATURES]
    most = rows_of_each(rows.observed.shape[1])
    for feature in sorted(int(number) for number in features):
        with_cell = rows.observed[:, feature].nonzero().squeeze(1).cpu().numpy()
        picks = torch.from_numpy(random.permutation(with_cell)[:most]).to(rows.device)
        if not len(picks) or not bool(train.observed[:, feature].any()):
            continue
        part = rows.rows(picks)
        embedding = embed(network, without(part, feature)).mean.flatten(1)
        hidden.append(HiddenCells(feature, embedding, *_cells(part, train, feature)))
    return hidden


def rows_of_each(features: int) -> int:
    """Rows in which each of the hidden features is hidden, of a table of so many features.

    Examples:
        >>> rows_of_each(14), rows_of_each(1500)
        (300, 58)
    """
    return rows_within(MOST_CELLS, features * min(features, MOST_FEATURES), fewest=2, most=MOST_ROWS)


def _cells(part: TableTensors, train: TableTensors, feature: int) -> tuple[Tensor, Tensor]:
    """A feature's cells of both tables, [n, C] and [R, C]."""
    n_numeric = part.numeric.shape[1]
    if feature < n_numeric:
        cells = [table.numeric[:, feature, None].double() for table in (part, train)]
    else:
        codes = [table.codes[:, feature - n_numeric] for table in (part, train)]
        count = 1 + max(int(code.max()) for code in codes)
        cells = [F.one_hot(code, count).double() for code in codes]
    known = cells[1].masked_fill(~train.observed[:, feature, None], math.nan)
    return cells[0], known


def recovered_shares(basis: CompactBasis, train: Tensor, hidden: list[HiddenCells]) -> list[Tensor]:
    """How much of each hidden cell the nearest training rows recover, one tensor [n] per feature.

    1 is perfect; on average over rows, 0 is as good as the mean of all training rows.

    Args:
        basis: makes vectors.
        train: embeddings of the training rows, flat [R, D d].
        hidden: see `hide_cells`.
    """
    points, shares = basis.project(train, USUAL), []
    for cells in hidden:
        distances = torch.cdist(basis.project(cells.embedding, USUAL), points)  # [n, R]
        nearest = distances.topk(min(NEIGHBOURS, len(points)), largest=False).indices
        usual = cells.known.nanmean(0)
        guess = cells.known[nearest].nanmean(1)  # [n, C]
        guess = torch.where(guess.isnan(), usual, guess)
        left, whole = ((cells.targets - said).square().sum(1) for said in (guess, usual))
        if float(whole.sum()) > 0:
            shares.append((1 - left / whole.mean()).cpu())
    return shares


def average(shares: list[Tensor]) -> float:
    """Mean over features; NaN without any."""
    return float(torch.stack([share.mean() for share in shares]).mean()) if shares else math.nan


def is_clearly_better(shares: list[Tensor], before: list[Tensor]) -> bool:
    """Whether the mean is higher by more than `CLEAR` standard errors, over the same hidden cells."""
    gains = [new - old for new, old in zip(shares, before, strict=True)]
    if not gains or min(map(len, gains)) < 2:
        return False
    error = math.sqrt(sum(float(gain.var()) / len(gain) for gain in gains)) / len(gains)
    return average(gains) > CLEAR * error
