"""Answers of a trained generator: missing cells, new rows, and how unusual the cells of a row are."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import Bars, Cells
from varjepa.data.tensors.table import TableTensors
from varjepa.errors import require_whole
from varjepa.inference.generator.reference import Reference, conformal_reach
from varjepa.inference.generator.tails import bounded, of_rows, tail
from varjepa.inference.ranges import require_numbers
from varjepa.models.embedding import lowered
from varjepa.models.generator import Generator, probabilities
from varjepa.models.network import TableNetwork

MOST_PASSES = 16
"""Cells of a row are drawn, or scored, in at most this many passes. In wider tables several cells share a pass, and do
not see each other."""

GROUPINGS = 2
"""How many times the cells of a wide table are scored, in other groups each time, within `MOST_PASSES`."""

NARROWEST = 1e-3
"""Width of a bar that holds a single value, in standard deviations of the column."""


class Draws(NamedTuple):
    """Uniform numbers in [0, 1) for the cells of N rows; those of a row do not depend on the rows beside it.

    Attributes:
        order: [N, D], sort keys of the missing cells: the smallest is drawn first.
        choice: [N, D], picks classes.
        place: [N, D], places within bars.
    """

    order: Tensor
    choice: Tensor
    place: Tensor

    @classmethod
    def next(cls, rng: np.random.Generator, rows: int, n_features: int) -> "Draws":
        """Numbers for the next rows of a stream."""
        # Row by row, all three kinds for a row together: rows drawn in parts get the numbers of one piece.
        numbers = torch.from_numpy(rng.random((rows, 3, n_features)))
        return cls(*numbers.unbind(1))


class TableGenerator:
    """A generator with everything it needs to work on encoded rows.

    Args:
        network: gives the tokens.
        generator: trained on them.
        bars: of the numeric features.
        preprocessor: that encoded the rows.
        reference: measured on rows outside of training.
    """

    def __init__(
        self,
        network: TableNetwork,
        generator: Generator,
        bars: tuple[Bars, ...],
        preprocessor: Preprocessor,
        reference: Reference,
    ) -> None:
        self.network, self.generator, self.bars, self.reference = network, generator, bars, reference
        self.preprocessor = preprocessor
        self.cells = Cells(bars, preprocessor.sizes.cardinalities).to(self.device)
        self.centers, self.log_widths = self._scales()

    @property
    def device(self) -> torch.device:
        """Device of network and generator."""
        return next(self.generator.parameters()).device

    @property
    def n_numeric(self) -> int:
        """Number of numeric features; they come first."""
        return self.cells.n_numeric

    @property
    def n_features(self) -> int:
        """Number of features D."""
        return len(self.cells.sizes)

    def _scales(self) -> tuple[list[Tensor], list[Tensor]]:
        """Per numeric feature: mean of each bar in the column's unit, and log of its width in standard deviations."""
        centers, widths = [], []
        for feature, bars in zip(self.preprocessor.numeric, self.bars, strict=True):
            points = feature.decode(np.array(bars.points))  # [K, P]
            # Inner edges between the smallest and the largest value: K + 1 ends of K bars.
            ends = np.r_[points[0, 0], feature.decode(np.array(bars.edges)), points[-1, -1]]
            single = points[:, 0] == points[:, -1]
            # A bar of a single value gets `NARROWEST`: its edges would give it the width of the gaps beside it.
            width = np.where(single, 0.0, np.diff(ends)) / feature.std
            centers.append(torch.from_numpy(points.mean(1)).to(self.device))
            widths.append(torch.from_numpy(np.log(np.maximum(width, NARROWEST))).float().to(self.device))
        return centers, widths

    @torch.inference_mode()
    def probabilities(self, table: TableTensors, seen: Tensor) -> Tensor:
        """Distribution of every cell given the seen ones, float32 [B, D, C]."""
        with lowered(self.network, self.device):
            likelihood = self.generator(self.network.tokens(table), seen)
        return require_numbers(probabilities(likelihood, self.n_features), "probabilities of cells")

    @torch.inference_mode()
    def surprise(self, table: TableTensors, outside: Tensor) -> Tensor:
        """Negative log-density of each observed cell given the others of its row, nats, float32 [B, D]; 0 if missing.

        Numbers count per standard deviation of their column; beyond the training range the density falls by e per
        deviation.

        Args:
            table: rows.
            outside: deviations beyond the training range [B, n_numeric].
        """
        classes, tokens = self.cells.classes(table), self.network.tokens(table)  # [B, D], [B, D, d]
        out = torch.zeros(table.observed.shape, device=self.device)
        groupings = score_groups(self.n_features, self.reference.groupings)
        for group in (group for grouping in groupings for group in grouping if table.n_rows):
            hidden = torch.tensor(group, device=self.device)
            seen = table.observed.clone()
            seen[:, hidden] = False
            with lowered(self.network, self.device):
                out[:, hidden] -= self.generator.log_prob_at(tokens, seen, classes, hidden)
        out /= len(groupings)
        # Density = probability of the bar / its width, so the negative log gains the log of the width.
        for j, widths in enumerate(self.log_widths):
            out[:, j] += widths[classes[:, j]]
        out[:, : self.n_numeric] += outside
        return require_numbers(torch.where(table.observed, out, 0.0), "densities of cells")

    def oddity(self, surprise: Tensor) -> Tensor:
        """How rare the surprise of each cell [B, D] is among the observed reference cells of its feature.

        Minus the log of its p-value, nats, >= 0, at most log(n + 1) for n such cells: a share of at most e^-a of normal
        cells has an oddity of a or more. 0 where the feature was never observed.
        """
        if not self.reference.cells:
            return self._oddity_before(surprise)
        return torch.from_numpy(np.stack([bounded(*found) for found in self._tails(surprise)], axis=1))

    def row_oddity(self, surprise: Tensor, observed: Tensor) -> Tensor:
        """How rare the oddest cell of each row [B] is among the oddest cells of reference rows.

        Minus the log of the row's p-value, nats, >= 0, at most log(n + 1) for n reference rows: a share of at most e^-a
        of normal rows reaches a. Versions without reference rows give the largest `oddity` of the row, which D cells
        reach up to D times as often as one.

        Args:
            surprise: [B, D].
            observed: bool [B, D].
        """
        if not self.reference.cells:
            return torch.from_numpy(self._oddity_before(surprise).numpy().max(1, initial=0.0))
        nats = np.stack([inside + beyond for inside, beyond in self._tails(surprise)], axis=1)
        scores = of_rows(nats, observed.cpu().numpy())
        return torch.from_numpy(bounded(*tail(scores, self.reference.row, self.reference.row_count)))

    def _tails(self, surprise: Tensor) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Per feature, `tail` of its cells."""
        reference = self.reference
        for values, points, count in zip(
            surprise.cpu().double().numpy().T, reference.surprise, reference.cells, strict=True
        ):
            yield tail(values, points, count)

    def _oddity_before(self, surprise: Tensor) -> Tensor:
        """`oddity` by a reference of shares of all rows, not of those where a cell is observed."""
        shares = np.array(self.reference.tail)
        columns = []
        for values, reference in zip(surprise.cpu().double().numpy().T, self.reference.surprise, strict=True):
            # `interp` is constant past the last reference cell; from there the score grows by a nat per nat.
            beyond = np.maximum(values - reference[-1], 0.0)
            columns.append(np.interp(values, reference, shares) + beyond)
        return torch.from_numpy(np.stack(columns, axis=1))

    @torch.inference_mode()
    def complete(self, table: TableTensors, draws: Draws) -> TableTensors:
        """One joint draw of all missing cells: cell after cell in random order, each given those before it."""
        numeric, codes = (part.clone() for part in table.blanked())
        seen, missing = table.observed.clone(), ~table.observed
        turns = self._turns(missing, draws.order.to(self.device))  # [B, D]
        choice, place = draws.choice.to(self.device), draws.place.to(self.device)
        for turn in range(int(turns.max()) + 1 if turns.numel() else 0):
            current = turns == turn  # [B, D]: the cells of this turn
            # Rows with fewer gaps are finished earlier, and are no longer computed.
            rows = current.any(1).nonzero().squeeze(1)
            if not len(rows):
                continue
            part = TableTensors(numeric[rows], codes[rows], seen[rows])
            drawn = self._drawn(self.probabilities(part, part.observed), choice[rows])  # [rows, D]
            for j in current.any(0).nonzero().squeeze(1).tolist():
                in_turn = current[rows, j]
                target, classes = rows[in_turn], drawn[in_turn, j]
                if j < self.n_numeric:
                    # A class is a bar, and `place` a position within it.
                    numeric[target, j] = self.cells.values(j, classes, place[target, j].float())
                else:
                    codes[target, j - self.n_numeric] = classes + 1  # class c is code c + 1
            # Only after the turn: cells that share one are drawn independently of each other.
            seen[rows] |= current[rows]
        return TableTensors(numeric, codes, torch.ones_like(seen))

    def _turns(self, missing: Tensor, order: Tensor) -> Tensor:
        """The pass in which each missing cell [B, D] is drawn; -1 for the others."""
        # 2 is above every number of `order`: observed cells rank last. Twice argsort gives ranks.
        ranks = order.masked_fill(~missing, 2.0).argsort(1).argsort(1)
        # Ranks are spread over the passes by the number of features, the same in all rows, not by a row's gaps.
        most = self.n_features
        turns = ranks if most <= MOST_PASSES else ranks * MOST_PASSES // most
        return turns.masked_fill(~missing, -1)

    def _drawn(self, chances: Tensor, choice: Tensor) -> Tensor:
        """Classes [B, D] from probabilities [B, D, C] and uniform numbers [B, D]; never a rare or unseen category."""
        chances = self._known(chances)
        # Inverse transform: the class whose part of the cumulative sum contains the number. Scaled by the total, as
        # `_known` has removed some probability; clamped, as rounding may lead past the last class.
        total = chances.cumsum(2)
        return (
            torch.searchsorted(total, (choice.float() * total[..., -1]).unsqueeze(-1), right=True)
            .squeeze(-1)
            .clamp(max=torch.tensor(self.cells.sizes, device=self.device) - 1)
        )

    def _known(self, chances: Tensor) -> Tensor:
        """The same probabilities without class 0 of categorical features (code 1, rare or unseen): it has no name."""
        chances = chances.clone()
        chances[:, self.n_numeric :, 0] = 0.0
        return chances

    @torch.inference_mode()
    def expected(self, chances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Point estimates from distributions [B, D, C].

        Returns:
            Means of numeric cells in their own unit, float64 [B, n_numeric]; codes of the most probable known
            categories [B, n_categorical], and their probabilities.
        """
        means = [chances[:, j, : len(c)].double() @ c for j, c in enumerate(self.centers)]
        top = self._known(chances)[:, self.n_numeric :].max(2)
        wide = torch.stack(means, 1) if means else chances.new_zeros(len(chances), 0).double()
        return wide, top.indices + 1, top.values

    @torch.inference_mode()
    def intervals(self, feature: int, chances: Tensor, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Intervals of a numeric feature that hold its value in a share `level` of rows, in its own unit.

        Split conformal intervals around the median. They are wide enough to have held the truth in that share of the
        reference cells, with the correction for their number. The coverage holds where cells are missing at random,
        as the reference cells were hidden.

        Args:
            feature: number of a numeric feature.
            chances: distributions of its cells [B, C].
            level: in (0, 1).
        """
        reach = conformal_reach(self.reference.reach[feature], self.reference.rows[feature], level)
        ends = []
        for share in (0.5 - reach / 2, 0.5 + reach / 2):
            encoded = self._quantile(feature, chances, share)
            ends.append(self.preprocessor.numeric[feature].decode(encoded.double().cpu().numpy()))
        return ends[0], ends[1]

    def _quantile(self, feature: int, chances: Tensor, share: float) -> Tensor:
        """Encoded value [B] below which `share` of each distribution [B, C] lies."""
        size = self.cells.sizes[feature]
        total = chances[:, :size].double().cumsum(1)  # [B, K]
        target = (share * total[:, -1:]).contiguous()
        bar = torch.searchsorted(total, target).squeeze(1).clamp(max=size - 1)  # [B]: the bar that holds the quantile
        below = torch.where(bar > 0, total.gather(1, (bar - 1).clamp(min=0)[:, None]).squeeze(1), 0.0)
        # The rest of the probability as a share of the bar's: the quantile's place within the bar.
        inside = (target.squeeze(1) - below) / chances.gather(1, bar[:, None]).squeeze(1).double().clamp(min=1e-12)
        return self.cells.values(feature, bar, inside.clamp(0, 1).float())

    @torch.inference_mode()
    def reaches(self, feature: int, chances: Tensor, table: TableTensors) -> Tensor:
        """Smallest share of the distribution around its median that reaches the true value of a cell, [B] in [0, 1]."""
        classes = self.cells.classes(table)[:, feature]
        size = self.cells.sizes[feature]
        total = chances[:, :size].double().cumsum(1)
        inside = chances.gather(1, classes[:, None]).squeeze(1).double()  # probability of the true bar
        below = total.gather(1, classes[:, None]).squeeze(1) - inside  # of all bars below it
        # A value may occupy a stretch of its bar (ties), hence its lowest and highest quantile.
        low, high = self.cells.places(feature, classes, table.numeric[:, feature])
        lowest, highest = below + low * inside, below + high * inside
        # The nearer end counts; 0 where the median lies within the stretch.
        return 2 * torch.maximum(lowest - 0.5, 0.5 - highest).clamp(min=0)


def score_groups(n_features: int, groupings: int) -> list[list[list[int]]]:
    """Groups of cells that are hidden together when cells are scored: each cell in one group of every grouping.

    The groups are drawn at random, the same ones at every call. Two cells that share a group do not see each other. No
    two cells share one in both of two groupings, for up to 64 features; beyond, one pair in 64 at most.

    Args:
        n_features: D.
        groupings: see `Reference.groupings`.

    Examples:
        >>> score_groups(3, 2)  # a cell is alone in its group
        [[[0], [1], [2]]]
    """
    if n_features <= MOST_PASSES:
        return [[[cell] for cell in range(n_features)]]
    passes = MOST_PASSES // max(groupings, 1)
    # Cells as a grid, row by row: a group is a column, which every further grouping moves on by the number of its row.
    order = np.arange(n_features)
    if groupings:
        order = np.random.default_rng([n_features, 91]).permutation(n_features)
    row, column = np.divmod(np.arange(n_features), passes)
    places = [(column + number * row) % passes for number in range(max(groupings, 1))]
    return [[sorted(order[place == group].tolist()) for group in range(passes)] for place in places]


def batches(rows: int, size: int) -> Iterator[slice]:
    """Slices that cover `rows` rows.

    Raises:
        ConfigError: `size` is below 1.
    """
    require_whole(size, "batch_size", 1)
    yield from (slice(start, start + size) for start in range(0, rows, size))
