import torch

from varjepa.models.masks import full_context


def test_full_context_sees_what_is_there() -> None:
    observed = torch.tensor([[True, False, True]])
    masks = full_context(observed)
    assert masks.context[masks.context_valid].tolist() == [0, 2]
    assert masks.targets[masks.targets_valid].tolist() == [1]
