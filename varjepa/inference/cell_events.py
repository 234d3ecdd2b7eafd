"""Events by which the cells of two models are compared, whatever the encoding of each.

Densities do not compare. Each model's are per unit of its own encoding: a standard deviation of its training rows, or
the steps between its quantiles, which one outlier or another sample changes. Where values repeat there is no density at
all. Probabilities of the same event do compare:

- A number lies in a window of raw values around the true one. A window holds `NEIGHBOURS` of the compared rows on
  either side, fewer where values repeat. Its ends go through the encoding of each model; past the end of a model's
  encoding, the window is open, as all values there have the same code.
- A category is the true one. Categories that one of the models does not know are one category for both.
- Numbers outside the training range of either model are left out for both: their codes say too little of them.

All are in nats, so that means over cells weigh numbers and categories alike.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.data.encode.features import NumericFeature
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.sizes import N_RESERVED
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Bools, Floats
from varjepa.inference.generator.table_generator import MOST_PASSES, TableGenerator
from varjepa.nn.decoders import Likelihood

NEIGHBOURS = 0.01
"""Share of the compared rows that a window holds on either side of a value."""

LEAST = math.log(1e-6)
"""Least log-probability of an event; one that a model rules out has it, as too few rows are compared to tell smaller
ones apart, and a single cell would decide every mean.
"""


class EncodedEvents(NamedTuple):
    """Events as one model encodes them.

    Attributes:
        lower: float64 [N, n_numeric], encoded lower end of each window; -inf where it is open.
        upper: float64 [N, n_numeric].
        compared: bool [N, D], False where a number is left out.
        categories: per categorical feature the common category of each class (code - 1), int64 [classes].
    """

    lower: Tensor
    upper: Tensor
    compared: Tensor
    categories: tuple[Tensor, ...]

    def rows(self, index: slice) -> Self:
        """Those of some rows."""
        return self._replace(lower=self.lower[index], upper=self.upper[index], compared=self.compared[index])


@dataclass(frozen=True)
class CellEvents:
    """Events of the cells of N rows, in raw values.

    Attributes:
        lower: [N, n_numeric], lower end of each window; -inf where it is open, NaN where the cell is missing.
        upper: [N, n_numeric].
        outside: per model the numbers outside its training range, [N, n_numeric] each.
        known: per categorical feature, the words that all models know.
    """

    lower: Floats
    upper: Floats
    outside: tuple[Bools, ...]
    known: tuple[frozenset[str], ...]

    def encoded(self, preprocessor: Preprocessor, device: torch.device) -> EncodedEvents:
        """The same events for a model with this preprocessor."""
        lower, upper = (
            np.stack([_encoded(feature, ends[:, j]) for j, feature in enumerate(preprocessor.numeric)], axis=1)
            if preprocessor.numeric else ends
            for ends in (self.lower, self.upper)
        )  # fmt: skip
        compared = np.ones((len(lower), preprocessor.sizes.n_features), dtype=bool)
        compared[:, : lower.shape[1]] = ~np.any(self.outside, axis=0)
        # Every model has learned its own embedding of text: there is no event that two of them share.
        compared[:, [name in preprocessor.embedded for name in preprocessor.names]] = False
        categories = tuple(
            torch.tensor(_common([*[""] * (N_RESERVED - 1), *feature.vocabulary], known), device=device)
            for feature, known in zip(preprocessor.categorical, self.known, strict=True)
        )
        low, high, shown = (torch.from_numpy(array).to(device) for array in (lower, upper, compared))
        return EncodedEvents(low, high, shown, categories)

    def shares_outside(self) -> list[float]:
        """Per model the share of the present numbers that are outside its training range."""
        present = max(int((~np.isnan(self.lower)).sum()), 1)
        return [float(cells.sum()) / present for cells in self.outside]


def cell_events(frame: pl.DataFrame, preprocessors: Sequence[Preprocessor]) -> CellEvents | None:
    """Events of raw rows that mean the same to several models; None where their features differ.

    Args:
        frame: raw rows [N], with the columns of all features.
        preprocessors: of the models.
    """
    features = [[(feature.name, feature.kind, feature.columns) for feature in (*one.numeric, *one.categorical)]
                for one in preprocessors]  # fmt: skip
    if any(others != features[0] for others in features):
        return None
    first = preprocessors[0]
    derived = first.derive(frame.lazy())
    schema = dict(derived.collect_schema())
    columns = derived.select(feature.number(schema).alias(feature.name) for feature in first.numeric).collect()
    values = [column.to_numpy().astype(np.float64) for column in columns]  # NaN where missing
    ends = [windows(column) for column in values]
    lower, upper = (np.stack(side, axis=1) if side else np.zeros((frame.height, 0)) for side in
                    ([low for low, _ in ends], [high for _, high in ends]))  # fmt: skip
    outside = tuple(
        np.stack([_outside(feature, column) for feature, column in zip(one.numeric, values, strict=True)], axis=1)
        if values else np.zeros(lower.shape, dtype=bool)
        for one in preprocessors
    )  # fmt: skip
    vocabularies = zip(*([feature.vocabulary for feature in one.categorical] for one in preprocessors), strict=True)
    known = tuple(frozenset.intersection(*map(frozenset, words)) for words in vocabularies)
    return CellEvents(lower, upper, outside, known)


def windows(values: Floats, share: float = NEIGHBOURS) -> tuple[Floats, Floats]:
    """The window around each value [N]: ends halfway between values, open at the smallest and the largest value.

    Args:
        values: [N], NaN where missing.
        share: of the present values, that a window may hold on either side.

    Examples:
        >>> windows(np.array([1.0, 2.0, 4.0, 4.0]), 0.0)
        (array([-inf,  1.5,  3. ,  3. ]), array([1.5, 3. , inf, inf]))
    """
    lower, upper = np.full(len(values), np.nan), np.full(len(values), np.nan)
    present = ~np.isnan(values)
    distinct, number, counts = np.unique(values[present], return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    starts, most = ends - counts, share * present.sum()
    # The first and the last distinct value with at most so many rows between it and the value's own.
    first = np.searchsorted(starts, starts - most, side="left")
    last = np.searchsorted(ends, ends + most, side="right") - 1
    halves = np.r_[-np.inf, distinct[:-1] + np.diff(distinct) / 2, np.inf]  # halves[k] lies before value k
    lower[present], upper[present] = halves[first][number], halves[last + 1][number]
    return lower, upper


def _range(feature: NumericFeature) -> tuple[float, float]:
    """Between these raw values the encoding tells values apart."""
    if feature.transform == "quantile":
        return feature.knots[0], feature.knots[-1]
    reach = feature.clip * feature.std
    return feature.mean - reach, feature.mean + reach


def _outside(feature: NumericFeature, values: Floats) -> Bools:
    """Whether numbers lie outside the encoding or the training rows; False where missing."""
    low, high = _range(feature)
    return (values < max(low, feature.smallest)) | (values > min(high, feature.largest))


def _encoded(feature: NumericFeature, edges: Floats) -> Floats:
    """Raw ends of windows [N] in encoded units; open where they reach the end of the encoding."""
    low, high = _range(feature)
    # They are numbers already: to read them as cells of the column would fail where those are spelled dates.
    frame = pl.DataFrame({"edge": edges}).select(feature.encoded(pl.col("edge")))
    codes = frame.to_series().to_numpy().astype(np.float64)
    return np.where(edges >= high, np.inf, np.where(edges <= low, -np.inf, codes))


def _common(words: Sequence[str], known: frozenset[str]) -> list[int]:
    """The number of the common category of each word; 0 for those that not all models know."""
    return [number if word in known else 0 for number, word in enumerate(words)]


def likelihood_log_probs(likelihood: Likelihood, table: TableTensors, events: EncodedEvents) -> Tensor:
    """Log-probability of the event of each cell under a network's likelihood, float64 [B, D]; arbitrary if missing."""
    mean, logvar = likelihood.numeric
    logits: dict[int, Tensor] = {}
    scale = (0.5 * logvar.double()).exp()
    below, above = ((edges - mean) / scale for edges in (events.lower, events.upper))
    out = torch.zeros(table.observed.shape, dtype=torch.float64, device=table.device)
    out[:, : mean.shape[1]] = _normal_mass(below.nan_to_num(0.0), above.nan_to_num(0.0))
    for group, members in zip(likelihood.logits, likelihood.groups, strict=True):
        logits |= dict(zip(members.tolist(), group.double().log_softmax(-1).unbind(1), strict=True))
    for j, categories in enumerate(events.categories):
        chances = logits[j][:, : len(categories)].exp()
        out[:, mean.shape[1] + j] = _category_log_prob(chances, categories, table.codes[:, j] - 1)
    return out.clamp(min=LEAST)


def _normal_mass(below: Tensor, above: Tensor) -> Tensor:
    """Log-probability of a standard normal value between two others, without loss of digits in either tail."""
    flip = below + above > 0
    below, above = torch.where(flip, -above, below), torch.where(flip, -below, above)
    high = torch.special.log_ndtr(above)
    return high + torch.log1p(-(torch.special.log_ndtr(below) - high).exp().clamp(max=1.0))


def _category_log_prob(chances: Tensor, categories: Tensor, classes: Tensor) -> Tensor:
    """Log-probability [B] of the common category of each class [B], from those of all classes [B, C]."""
    totals = torch.zeros_like(chances).index_add_(1, categories, chances)
    return totals.gather(1, categories[classes.clamp(min=0)][:, None])[:, 0].log()


@torch.inference_mode()
def hidden_log_probs(generator: TableGenerator, table: TableTensors, events: EncodedEvents) -> Tensor:
    """Log-probability of the event of each cell given the others of its row, float64 [B, D]; arbitrary if missing.

    Every cell is hidden in one of several passes. Cells that share a pass are drawn at random, the same for all models.
    """
    passes = min(generator.n_features, MOST_PASSES)
    turn = torch.from_numpy(np.random.default_rng(0).permutation(generator.n_features) % max(passes, 1))
    out = torch.zeros(table.observed.shape, dtype=torch.float64, device=table.device)
    for number in range(passes if table.n_rows else 0):
        hidden = (turn == number).to(table.device)
        chances = generator.probabilities(table, table.observed & ~hidden).double()  # [B, D, C]
        for j in hidden.nonzero().squeeze(1).tolist():
            if j < generator.n_numeric:
                ends = (edges[:, j].nan_to_num(0.0).float() for edges in (events.lower, events.upper))
                low, high = (_mass_below(generator, j, chances[:, j], edges) for edges in ends)
                out[:, j] = (high - low).clamp(min=0.0).log()
            else:
                categories, classes = (
                    events.categories[j - generator.n_numeric],
                    table.codes[:, j - generator.n_numeric],
                )
                out[:, j] = _category_log_prob(chances[:, j, : len(categories)], categories, classes - 1)
    return out.clamp(min=LEAST)


def _mass_below(generator: TableGenerator, feature: int, chances: Tensor, edges: Tensor) -> Tensor:
    """Probability of a number below encoded values [B], from probabilities of bars [B, C]."""
    cells = generator.cells
    bar = torch.bucketize(edges.contiguous(), cells.edges[feature], right=True)
    low, high = cells.places(feature, bar, edges)
    inside = chances.gather(1, bar[:, None])[:, 0]
    below = chances.cumsum(1).gather(1, bar[:, None])[:, 0] - inside
    # A bar's value that is the edge itself counts half.
    return below + inside * (low + high).double() / 2
