"""Masks of any table never overlap and have the stated sizes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import MaskingSection
from varjepa.models.masks import draw_masks, draw_sizes
from varjepa.nn.random import Randomness

shares = st.floats(0, 1)


@pytest.mark.slow
@settings(max_examples=80)
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
