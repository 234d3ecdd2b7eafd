"""Our optimizers compute what torch's do, and leave out its compiler."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from varjepa.nn.optimizers import LBFGS, AdamW

TRAINED = """
import sys
from tests.unit.training.small_runs import TRAINING, generator_trainer, quiet, trainer
from varjepa.evaluation.logistic import fit_logistic
import torch

trainer(TRAINING.model_copy(update={"max_epochs": 1})).fit(quiet, quiet)
generator_trainer(max_steps=2).fit(quiet)
fit_logistic(torch.randn(20, 2), torch.arange(20) % 2, 2, 0.1, covariance=None, max_iterations=5)
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""


def fitted(adam: type[torch.optim.Optimizer], lbfgs: type[torch.optim.Optimizer], *, fused: bool | None) -> Tensor:
    """Weights after steps of both, with a checkpoint between."""
    torch.manual_seed(0)
    network, x, y = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 1)), torch.randn(64, 5), torch.randn(64, 1)
    optimizer = adam(network.parameters(), lr=1e-2, weight_decay=0.1, fused=fused)
    for _ in range(2):
        for _ in range(5):
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(network(x), y).backward()
            optimizer.step()
        state, optimizer = optimizer.state_dict(), adam(network.parameters(), lr=9.0, fused=fused)
        optimizer.load_state_dict(state)
    search = lbfgs(network.parameters(), max_iter=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.mse_loss(network(x), y)
        value.backward()
        return value

    search.step(loss)
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize("fused", [True, None])
def test_the_numbers_are_those_of_torch(fused: bool | None) -> None:
    ours = fitted(AdamW, LBFGS, fused=fused)
    assert torch.equal(ours, fitted(torch.optim.AdamW, torch.optim.LBFGS, fused=fused))


def test_a_checkpoint_of_either_goes_on_in_the_other() -> None:
    ours, theirs = (kind([nn.Parameter(torch.ones(2))], lr=0.1, fused=True) for kind in (AdamW, torch.optim.AdamW))
    for optimizer, other in ((ours, theirs), (theirs, ours)):
        (parameter,) = optimizer.param_groups[0]["params"]
        parameter.grad = torch.ones(2)
        optimizer.step()
        other.load_state_dict(optimizer.state_dict())
        assert str(other.state_dict()) == str(optimizer.state_dict())


@pytest.mark.slow
def test_training_does_not_import_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", TRAINED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
