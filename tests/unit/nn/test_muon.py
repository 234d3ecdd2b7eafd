"""Muon moves matrices equally far in every direction, and everything else as AdamW does."""

import math
from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.small_networks import SIZES, SMALL
from varjepa.models.new_network import build_network
from varjepa.nn.decay import Parameters
from varjepa.nn.muon import RMS, Muon, MuonAdamW, equalised
from varjepa.nn.optimizers import AdamW


def gradients(network: nn.Module, seed: int) -> None:
    """Gives every parameter a gradient."""
    random = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=random)


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), scale=st.sampled_from([1e-20, 1e-6, 1.0, 1e9]))
def test_singular_values_are_near_one(rows: int, columns: int, scale: float) -> None:
    torch.manual_seed(rows * 41 + columns)
    # A random orthogonal matrix on either side of singular values within a factor of ten of each other.
    rank = min(rows, columns)
    left, right = (torch.linalg.qr(torch.randn(size, size)).Q[:, :rank] for size in (rows, columns))
    matrix = left * torch.logspace(0, -1, rank) @ right.mT
    found = equalised(scale * matrix)
    values = torch.linalg.svdvals(found)[:rank]
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    # Singular vectors stay.
    along = left.mT @ found @ right
    torch.testing.assert_close(along, torch.diag(torch.diagonal(along)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_a_matrix_of_zeros_stays_one(shape: tuple[int, ...]) -> None:
    assert not equalised(torch.zeros(shape)).any()


@pytest.mark.parametrize("shape", [(64, 64), (192, 64), (64, 256), (5, 64, 30)])
def test_a_step_is_as_long_as_one_of_adamw(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    matrix = nn.Parameter(torch.zeros(shape))
    matrix.grad = 1e-3 * torch.randn(shape)
    Muon([matrix], lr=0.5, weight_decay=0.0).step()
    # All singular values near 1 and the smaller axis full: the mean square is 1 / larger axis.
    rms = float(matrix.detach().square().mean().sqrt())
    assert rms == pytest.approx(0.5 * RMS, rel=0.15)


def test_matrices_of_equal_shape_move_as_if_alone() -> None:
    torch.manual_seed(0)
    together = [nn.Parameter(torch.randn(6, 4)) for _ in range(3)] + [nn.Parameter(torch.randn(4, 6))]
    alone = deepcopy(together)
    optimizers = [Muon([matrix], lr=0.1, weight_decay=0.01) for matrix in alone]
    joint = Muon(together, lr=0.1, weight_decay=0.01)
    for seed in range(3):
        for matrices in (together, alone):
            gradients(nn.ParameterList(matrices), seed)
        joint.step()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_a_matrix_without_a_gradient_stays() -> None:
    matrices = [nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    matrices[0].grad = torch.eye(2)
    Muon(matrices, lr=0.1, weight_decay=0.5).step()
    assert torch.equal(matrices[1].detach(), torch.ones(2, 2))
    assert not torch.equal(matrices[0].detach(), torch.ones(2, 2))


def small(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return build_network(sizes=SIZES, model=SMALL.model_copy(update={"kind": kind}))


@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_everything_but_matrices_moves_as_by_adamw(kind: str) -> None:
    ours, theirs = small(kind), small(kind)
    optimizer = MuonAdamW(ours, lr=1e-2, weight_decay=0.0)
    reference = AdamW([p for p in theirs.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0, fused=True)
    for seed in range(2):
        for network, one in ((ours, optimizer), (theirs, reference)):
            gradients(network, seed)
            one.step()
    for one, other in zip(Parameters.of(ours).others, Parameters.of(theirs).others, strict=True):
        assert torch.equal(one, other)
    for one, other in zip(Parameters.of(ours).matrices, Parameters.of(theirs).matrices, strict=True):
        assert not torch.equal(one, other)


def test_a_checkpoint_goes_on_to_the_same_weights(tmp_path) -> None:
    whole, halves = small("var_t_jepa"), small("var_t_jepa")
    optimizer, first = (MuonAdamW(network, lr=1e-2, weight_decay=1e-3) for network in (whole, halves))
    for seed in range(2):
        for network, one in ((whole, optimizer), (halves, first)):
            gradients(network, seed)
            one.step()
    torch.save(first.state_dict(), tmp_path / "state")
    second = MuonAdamW(halves, lr=9.0, weight_decay=0.0)
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for network, one in ((whole, optimizer), (halves, second)):
        gradients(network, 7)
        one.step()
        one.zero_grad()
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.grad is None


def test_rare_directions_are_learned_as_fast() -> None:
    """Least squares whose inputs have scales from 1 to 1/100: the error that is left after the same number of steps."""

    def left(make: type[Muon] | type[AdamW]) -> float:
        torch.manual_seed(0)
        scales = torch.logspace(0, -2, 16)
        mixing = torch.linalg.qr(torch.randn(16, 16)).Q
        x, truth = torch.randn(512, 16) * scales @ mixing, torch.randn(16, 16)
        weight, steps = nn.Parameter(torch.zeros(16, 16)), 200
        optimizer = make([weight], lr=0.1, weight_decay=0.0)
        for step in range(steps):
            loss = (x @ (weight - truth)).square().mean()
            (weight.grad,) = torch.autograd.grad(loss, weight)
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * (1 + math.cos(math.pi * step / steps))
            optimizer.step()
        error: Tensor = (weight - truth).detach().square().mean()
        return float(error)

    assert left(Muon) < 0.5 * left(AdamW)
