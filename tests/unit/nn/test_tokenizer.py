"""Tokens of numbers with bins."""

import torch

from varjepa.nn.tokenizer import FeatureTokenizer, PiecewiseLinear

BINS = [(), (-1.0, 0.5, 2.0), (), (0.0, 1.0)]


def pieces() -> PiecewiseLinear:
    torch.manual_seed(0)
    return PiecewiseLinear(BINS, d_token=8)


def numbers(value: float) -> torch.Tensor:
    return torch.full((1, len(BINS)), value)


def test_a_missing_number_has_no_part_of_its_own() -> None:
    assert not pieces()(numbers(0.0)).any()


def test_the_part_is_a_line_within_a_bin_and_constant_outside() -> None:
    network = pieces()
    low, middle, high = (network(numbers(value))[:, 0] for value in (-1.0, -0.25, 0.5))
    assert torch.allclose(middle, (low + high) / 2, atol=1e-6)
    assert torch.equal(network(numbers(-9.0)), network(numbers(-1.0)))
    assert torch.equal(network(numbers(2.0)), network(numbers(9.0)))


def test_a_feature_with_fewer_bins_fills_no_others() -> None:
    network = pieces()
    before = network(numbers(7.0))
    with torch.no_grad():
        network.steps[1, 1:] += 100.0
    assert torch.equal(network(numbers(7.0)), before)


def test_each_bin_learns_by_itself() -> None:
    network = pieces()
    network(torch.tensor([[0.0, 0.25, 0.0, 0.0]])).sum().backward()
    moved = network.steps.grad.abs().sum(-1) > 0
    assert moved.tolist() == [[True, False], [False, False]]


def test_ends_closer_than_floats_can_divide_give_finite_tokens() -> None:
    network = PiecewiseLinear([(0.0, 1e-45, 1.0)], d_token=4)
    assert all(network(torch.tensor([[value]])).isfinite().all() for value in (0.0, 1e-45, 0.5))


def test_without_bins_the_weights_are_those_of_the_paper() -> None:
    plain, empty = (
        FeatureTokenizer(n_numeric=2, cardinalities=[4], d_token=8, bins=bins).state_dict() for bins in ((), [(), ()])
    )
    assert plain.keys() == empty.keys() == {"weight", "bias", "table", "kind", "position"}


def test_only_features_with_bins_differ_from_a_line() -> None:
    torch.manual_seed(0)
    binned = FeatureTokenizer(n_numeric=4, cardinalities=[3], d_token=8, bins=BINS)
    torch.manual_seed(0)
    plain = FeatureTokenizer(n_numeric=4, cardinalities=[3], d_token=8)
    numeric, codes = torch.randn(5, 4), torch.ones(5, 1, dtype=torch.long)
    differs = (binned(numeric, codes) != plain(numeric, codes)).any(-1).any(0)
    assert differs.tolist() == [False, True, False, True, False]
