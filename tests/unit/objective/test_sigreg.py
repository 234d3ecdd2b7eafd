"""SIGReg against the closed form of the Epps-Pulley statistic, its expectation, and data-parallel training."""

import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from varjepa.evaluation.latents.aggregate import sigreg_mse
from varjepa.nn.random import Randomness
from varjepa.objective.sigreg import (
    Frequencies,
    characteristic_errors,
    epps_pulley,
    random_directions,
    sigreg,
)
from varjepa.training.distributed import leave

FREQUENCIES = Frequencies()


def closed_form(x: torch.Tensor) -> torch.Tensor:
    """The exact statistic of N projections: all frequencies, no grid."""
    pairs = (-(x[:, None] - x[None, :]).square() / 2).exp().mean()
    alone = (-x.square() / 4).exp().mean()
    return len(x) * math.sqrt(2 * math.pi) * (pairs - math.sqrt(2) * alone + 1 / math.sqrt(3))


def sample(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.0), (1.5, 1.0), (0.0, 3.0), (-4.0, 0.1)])
def test_equals_the_closed_form(shift: float, stretch: float, dtype: torch.dtype) -> None:
    x = shift + stretch * sample(400, seed=1, dtype=dtype)
    ours = 400 * epps_pulley(characteristic_errors(x, FREQUENCIES), FREQUENCIES)
    torch.testing.assert_close(ours, closed_form(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("count", [2, 7, 8, 9, 63, 64])
def test_errors_are_those_of_every_single_frequency(count: int) -> None:
    frequencies, x = Frequencies(count, 4.0), sample(3, 50, dtype=torch.float64)
    grid = torch.linspace(0, 4.0, count, dtype=torch.float64)
    angles = x[..., None] * grid
    cos, sin = angles.cos().mean(1), angles.sin().mean(1)
    expected = (cos - (-0.5 * grid.square()).exp()).square() + sin.square()
    torch.testing.assert_close(characteristic_errors(x, frequencies), expected)


def test_gradient_is_that_of_finite_differences() -> None:
    x = sample(9, 4, dtype=torch.float64).requires_grad_()
    directions = random_directions(4, 5, Randomness.seeded(0)).double()
    assert torch.autograd.gradcheck(lambda latent: sigreg(latent, directions, FREQUENCIES), x)


def test_flat_weights_give_the_diagnostic_of_that_name() -> None:
    x, directions = sample(500, 4), random_directions(4, 64, Randomness.seeded(6))
    flat = sigreg(x, directions, FREQUENCIES, "flat")
    torch.testing.assert_close(flat, sigreg_mse(x[None], Randomness.seeded(6))[0])


def _gradient(model: torch.nn.Module, rows: torch.Tensor) -> torch.Tensor:
    directions = random_directions(4, 16, Randomness.seeded(3))
    sigreg(model(rows), directions, FREQUENCIES).backward()
    return next(model.parameters()).grad.clone()


def _model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 4)


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = torch.nn.parallel.DistributedDataParallel(_model())
    part = slice(0, 32) if rank == 0 else slice(32, 64)
    torch.save(_gradient(model, sample(64, 3, seed=5)[part]), f"{folder}/{rank}.pt")
    dist.barrier()  # a process that leaves early can leave the other one waiting
    leave()


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    alone = _gradient(_model(), sample(64, 3, seed=5))
    mp.spawn(_worker, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt"), alone)
    assert alone.abs().max() > 1e-3
