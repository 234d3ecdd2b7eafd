import torch
from torch import Tensor

from varjepa.models.masks import FEW_GAPS, Masks, full_context, incomplete_rows, put_at_targets


def every_position(observed: Tensor) -> Masks:
    """As `full_context`, with a target slot for every position, the missing ones valid."""
    positions = torch.arange(observed.shape[1]).expand(observed.shape)
    return Masks(positions, observed, positions[:, None], ~observed[:, None])


def test_full_context_sees_what_is_there() -> None:
    observed = torch.tensor([[True, False, True]])
    masks = full_context(observed)
    assert masks.context[masks.context_valid].tolist() == [0, 2]
    assert masks.targets[masks.targets_valid].tolist() == [1]


def test_rows_with_few_gaps_have_few_targets() -> None:
    """A slot for each of 1,500 columns made the predictor's sequences twice as long, for a few gaps a row."""
    observed = torch.ones(5, 50, dtype=torch.bool)
    observed[0, [3, 49]] = observed[1, 7] = observed[3, ::2] = observed[4] = False
    base, values = torch.rand(5, 50, 4), torch.rand(5, 50, 4)
    filled = base.clone()
    (few, few_masks), (many, many_masks) = incomplete_rows(observed)
    assert (few.tolist(), few_masks.targets.shape) == ([0, 1], (2, 1, 50 // FEW_GAPS))
    assert (many.tolist(), many_masks.targets.shape) == ([3, 4], (2, 1, 50))
    for rows, masks in ((few, few_masks), (many, many_masks)):
        assert torch.equal(masks.context_valid, observed[rows])
        targets = masks.targets[:, 0]
        filled[rows] = put_at_targets(base[rows], values[rows[:, None], targets], masks)
    assert torch.equal(filled, torch.where(observed[:, :, None], base, values))


def test_complete_rows_and_no_rows_are_in_no_group() -> None:
    observed = torch.ones(3, 5, dtype=torch.bool)
    assert list(incomplete_rows(observed)) == list(incomplete_rows(observed[:0])) == []
