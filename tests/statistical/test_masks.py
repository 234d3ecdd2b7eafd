"""Positions and sizes of masks are uniform."""

import torch

from varjepa.config import MaskingSection
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.nn.random import Randomness


def test_positions_and_sizes_are_uniform() -> None:
    rows, n, random = 40_000, 10, Randomness.seeded(3)
    observed = torch.ones(rows, n, dtype=torch.bool)
    masks = draw_masks(observed, (3, 4), 2, random)
    # 5.5 standard errors in each of 20 counts: false alarms below 1e-6.
    for positions, per_row in ((masks.context, 3), (masks.targets[:, 1], 4)):
        share = per_row / n
        counts = torch.bincount(positions.flatten(), minlength=n) / rows
        assert (counts - share).abs().max() < 5.5 * (share * (1 - share) / rows) ** 0.5
    masking = MaskingSection(ctx_share_min=0.1, ctx_share_max=0.3, trg_share_min=0.1, trg_share_max=0.6)
    sizes = torch.tensor([draw_sizes(n, masking, random) for _ in range(12_000)])
    for column, values in ((0, 3), (1, 6)):
        share = 1 / values
        frequencies = torch.bincount(sizes[:, column], minlength=values + 1)[1:] / len(sizes)
        assert (frequencies - share).abs().max() < 5.5 * (share * (1 - share) / len(sizes)) ** 0.5
