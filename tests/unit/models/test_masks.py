import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import MaskingSection
from varjepa.models.masks import draw_masks, draw_sizes, full_context
from varjepa.nn.random import Randomness

shares = st.floats(0, 1)


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 40), a=shares, b=shares, c=shares, e=shares, seed=st.integers(0, 10_000), missing=st.floats(0, 1)
)
def test_masks_never_overlap_and_have_the_stated_sizes(
    *, n: int, a: float, b: float, c: float, e: float, seed: int, missing: float
) -> None:
    masking = MaskingSection(ctx_share_min=min(a, b), ctx_share_max=max(a, b), trg_share_min=min(c, e),
                             trg_share_max=max(c, e), num_targets=3)  # fmt: skip
    random = Randomness.seeded(seed)
    sizes = draw_sizes(n, masking, random)
    assert 1 <= sizes[0] <= max(1, int(max(a, b) * n + 1e-9))
    assert sizes[1] <= max(1, int(max(c, e) * n + 1e-9))
    assert sizes[0] + sizes[1] <= n
    assert sizes[1] >= 1 or n == 1
    observed = random.uniform(16, n) >= missing
    masks = draw_masks(observed, sizes, 3, random)
    assert masks.context.shape == (16, sizes[0])
    assert masks.targets.shape == (16, 3, sizes[1])
    for row in range(16):
        context = masks.context[row][masks.context_valid[row]].tolist()
        assert len(context) == min(sizes[0], int(observed[row].sum()))
        assert len(set(context)) == len(context)
        assert observed[row, context].all()
        for mask in range(3):
            targets = masks.targets[row, mask][masks.targets_valid[row, mask]].tolist()
            assert len(set(targets)) == len(targets) == min(sizes[1], int(observed[row].sum()) - len(context))
            assert not set(targets) & set(context)
            assert observed[row, targets].all()


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


def test_full_context_sees_what_is_there() -> None:
    observed = torch.tensor([[True, False, True]])
    masks = full_context(observed)
    assert masks.context[masks.context_valid].tolist() == [0, 2]
    assert masks.targets[masks.targets_valid].tolist() == [1]
