"""Context and target masks of a training step (arXiv 2603.20111, appendix A)."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from varjepa.config import MaskingSection
from varjepa.nn.random import Randomness

FEW_GAPS = 8
"""A row has few gaps if no more than one feature in so many is missing."""


class Masks(NamedTuple):
    """Feature positions per row; a slot is invalid where the row has too few observed cells to fill it.

    Attributes:
        context: int64 [B, M_ctx], distinct positions.
        context_valid: bool [B, M_ctx].
        targets: int64 [B, K, M_trg], distinct within each mask, never a context position.
        targets_valid: bool [B, K, M_trg].
    """

    context: Tensor
    context_valid: Tensor
    targets: Tensor
    targets_valid: Tensor

    def rows(self, index: Tensor | slice) -> "Masks":
        """The masks of the rows at `index`."""
        return Masks(*(part[index] for part in self))


def draw_sizes(n_features: int, masking: MaskingSection, random: Randomness) -> tuple[int, int]:
    """Draws (M_ctx, M_trg), uniform between the floors of the shares of D, at least 1, with M_ctx + M_trg <= D.

    With one feature there is nothing left to predict: (1, 0).
    """
    low, high = _range(n_features, masking.ctx_share_min, masking.ctx_share_max)
    n_context = min(int(random.host.integers(low, high, endpoint=True)), max(n_features - 1, 1))
    low, high = _range(n_features, masking.trg_share_min, masking.trg_share_max)
    n_targets = min(int(random.host.integers(low, high, endpoint=True)), n_features - n_context)
    return n_context, n_targets


def largest_sizes(n_features: int, masking: MaskingSection) -> tuple[int, int]:
    """The largest context size that `draw_sizes` may draw, and the largest target size with it."""
    n_context = min(_range(n_features, masking.ctx_share_min, masking.ctx_share_max)[1], max(n_features - 1, 1))
    most = _range(n_features, masking.trg_share_min, masking.trg_share_max)[1]
    return n_context, min(most, n_features - n_context)


def _range(n_features: int, share_min: float, share_max: float) -> tuple[int, int]:
    # The small term keeps 0.3 * 10 = 2.9999... at its meant floor of 3.
    low, high = (max(1, math.floor(share * n_features + 1e-9)) for share in (share_min, share_max))
    return low, high


def draw_masks(observed: Tensor, sizes: tuple[int, int], num_targets: int, random: Randomness) -> Masks:
    """Draws one context mask and `num_targets` target masks per row, uniformly among its observed cells.

    Args:
        observed: bool [B, D]; missing cells are neither context nor targets.
        sizes: (M_ctx, M_trg).
        num_targets: K.
        random: where the numbers come from.

    Returns:
        Masks whose invalid slots point at missing cells, or at context cells where nothing else is left.
    """
    n_context, n_targets = sizes
    batch, n_features = observed.shape
    # Keys in [0, 1) order the observed cells at random; adding 1 sends missing ones behind them, 2 context ones last.
    keys = random.uniform(batch, n_features) + (~observed).float()
    context = keys.argsort(dim=1)[:, :n_context]  # [B, M_ctx]
    taken = torch.zeros_like(observed).scatter_(1, context, True)  # noqa: FBT003
    keys = random.uniform(batch, num_targets, n_features)
    keys += ((~observed).float() + 2 * taken.float())[:, None, :]
    targets = keys.argsort(dim=2)[:, :, :n_targets]  # [B, K, M_trg]
    available = (observed & ~taken)[:, None, :].expand(-1, num_targets, -1)
    return Masks(context, observed.gather(1, context), targets, available.gather(2, targets))


def full_context(observed: Tensor, slots: int | None = None) -> Masks:
    """All observed cells as context and all missing ones as the single target mask: inference on whole rows.

    Args:
        observed: bool [B, D].
        slots: for targets in a row, M_trg, at least the most gaps of any; None for D.
    """
    positions = torch.arange(observed.shape[1], device=observed.device).expand(observed.shape)
    targets = observed.byte().argsort(dim=1, stable=True)[:, None, :slots]  # [B, 1, M_trg], missing ones first
    return Masks(positions, observed, targets, ~observed[:, None, :].gather(2, targets))


def incomplete_rows(observed: Tensor) -> Iterator[tuple[Tensor, Masks]]:
    """Numbers int64 [b] of the rows with gaps, and their `full_context`: those with few gaps, then the others.

    A slot for every feature makes the predictor's sequences twice as long, and most rows with gaps have few. There are
    two numbers of slots for all rows of a table, because other lengths round otherwise: one number for each batch would
    make what is said of a row depend on the rows beside it.

    Args:
        observed: bool [B, D].
    """
    n_features = observed.shape[1]
    few, gaps = n_features // FEW_GAPS, (~observed).sum(1)
    for rows, slots in (((gaps > 0) & (gaps <= few), few), (gaps > few, n_features)):
        index = rows.nonzero().squeeze(1)
        if len(index):
            yield index, full_context(observed[index], slots)


def put_at_targets(base: Tensor, values: Tensor, masks: Masks) -> Tensor:
    """`base` with the values of a single target mask at its valid positions.

    Args:
        base: of all features, [B, D, d].
        values: of the targets, [B, M_trg, d].
        masks: with K = 1.
    """
    places, values = masks.targets[:, 0, :, None].expand_as(values), values.to(base.dtype)
    # Invalid slots point at other cells, which keep what they have.
    return base.scatter(1, places, torch.where(masks.targets_valid[:, 0, :, None], values, base.gather(1, places)))


def same_for_all(observed: Tensor, context: Tensor, target: Tensor) -> Masks:
    """One target mask and a context at the same positions in every row."""
    rows = len(observed)
    return Masks(context.expand(rows, -1), observed[:, context], target.expand(rows, 1, -1), observed[:, None, target])
