"""What a forward pass keeps in memory."""

import torch

from varjepa.training.activations import kept_bytes


def test_what_a_forward_pass_keeps_is_counted_once() -> None:
    weight, x = torch.randn(50, 50, requires_grad=True), torch.randn(10, 50)

    def forward() -> torch.Tensor:
        return ((x @ weight).exp() * x).sum()

    assert kept_bytes(forward, [weight]) == 2 * 4 * 500  # x and the exponential, both once
