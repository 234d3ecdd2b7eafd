import pytest
import torch

from varjepa.nn.dropout import drop_, drop_before_relu_, keep_scale
from varjepa.nn.random import Randomness


@pytest.mark.parametrize("rate", [0.001, 0.3, 0.9])
def test_every_element_is_dropped_with_the_stated_probability(rate: float) -> None:
    random, n, repeats = Randomness.seeded(7), 500, 400
    dropped = torch.stack([drop_(torch.ones(n), rate, random) == 0 for _ in range(repeats)]).double()
    # Totals and positions within 5.5 standard errors: false alarms below 1e-6 (Bonferroni over 500 positions at 6).
    error = (rate * (1 - rate) / (n * repeats)) ** 0.5
    assert abs(float(dropped.mean()) - rate) < 5.5 * error
    assert (dropped.mean(0) - rate).abs().max() < 6 * (rate * (1 - rate) / repeats) ** 0.5 + 3 / repeats
    neighbours = (dropped[:, 1:] * dropped[:, :-1]).mean()
    assert abs(float(neighbours) - rate**2) < 6 * (rate**2 / (n * repeats)) ** 0.5


def test_gradients_are_dropped_with_their_elements() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = drop_(x * 2, 0.2, Randomness.seeded(0))
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    z = torch.ones(1000, requires_grad=True)
    w = torch.relu(drop_before_relu_(z * 2, 0.2, Randomness.seeded(0)))
    w.sum().backward()
    assert torch.equal(z.grad, x.grad)


def test_without_randomness_nothing_happens() -> None:
    x = torch.ones(10)
    assert drop_(x, 0.5, None) is x
    assert drop_(x, 0.0, Randomness.seeded(0)) is x
    assert keep_scale(0.2) == 1.25
