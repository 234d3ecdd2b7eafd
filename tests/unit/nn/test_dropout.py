import torch

from varjepa.nn.dropout import keep_scale, positions, zero_, zero_before_relu_
from varjepa.nn.random import Randomness


def hit(size: int, rate: float, random: Randomness, device: str = "cpu") -> torch.Tensor:
    (found,) = positions(size, rate, random, torch.device(device), 1)
    return found


def test_gradients_are_dropped_with_their_elements() -> None:
    x = torch.ones(1000, requires_grad=True)
    index = hit(1000, 0.2, Randomness.seeded(0))
    y = zero_(x * 2, index)
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    z = torch.ones(1000, requires_grad=True)
    w = torch.relu(zero_before_relu_(z * 2, index))
    w.sum().backward()
    assert torch.equal(z.grad, x.grad)


def test_without_positions_nothing_happens() -> None:
    x = torch.ones(10)
    assert zero_(x, None) is x
    assert zero_before_relu_(x, None) is x
    assert keep_scale(0.2) == 1.25


def test_on_a_gpu_the_count_follows_from_the_size() -> None:
    random = Randomness.seeded(0)
    before = random.state()["host"]
    assert {len(hit(5000, 0.002, random, "meta")) for _ in range(9)} == {10}
    assert random.state()["host"] == before
