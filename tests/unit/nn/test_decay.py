"""Weight decay shrinks matrices alone."""

import pytest
import torch
from torch import nn

from tests.small_networks import SIZES, SMALL
from varjepa.models.generator import Generator
from varjepa.models.new_network import build_network
from varjepa.nn.decay import decay_groups
from varjepa.nn.random import StackedRandomness
from varjepa.study.jepa import JEPANetwork
from varjepa.study.var_jepa import PairSizes, VarJEPANetwork

SPARED = {
    "bias", "table", "kind", "position", "queries", "context_cls", "target_cls", "target_type", "registers",
    "mask_token", "auxiliary", "raw_noise", "logvar", "class_biases",
}  # fmt: skip
"""Names of what is no matrix, whatever its number of axes."""


def networks() -> dict[str, nn.Module]:
    random = StackedRandomness.seeded([0, 1])
    return {
        **{
            kind: build_network(sizes=SIZES, model=SMALL.model_copy(update={"kind": kind}))
            for kind in ("var_t_jepa", "t_jepa")
        },
        "wide": build_network(sizes=SIZES, model=SMALL.model_copy(update={"n_points": 3})),
        "generator": Generator(sizes=[3, 5, 9], d_token=16, n_layers=2, n_heads=2),
        "pairs": VarJEPANetwork(sizes=PairSizes(4, 4, 3, 2), random=random, d_hidden=8),
        "jepa": JEPANetwork(d_observed=4, d_s=3, random=random, d_hidden=8, target="ema"),
    }


def spared(network: nn.Module, name: str) -> bool:
    module, _, last = name.rpartition(".")
    if last.isdigit():  # an entry of a list
        module, _, last = module.rpartition(".")
    kind = type(network.get_submodule(module)).__name__
    return last in SPARED or kind in ("LayerNorm", "FeatureTokenizer")


@pytest.mark.parametrize("which", ["var_t_jepa", "t_jepa", "wide", "generator", "pairs", "jepa"])
def test_a_step_without_gradients_shrinks_matrices_alone(which: str) -> None:
    network = networks()[which]
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(decay_groups(network, 0.5), lr=0.1, fused=True)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    moved = set()
    for name, parameter in network.named_parameters():
        if spared(network, name) or not parameter.requires_grad:
            assert torch.equal(parameter, before[name]), name
        else:
            moved.add(name)
            torch.testing.assert_close(parameter.detach(), 0.95 * before[name])
    assert moved
    assert all(before[name].dim() > 1 for name in moved)


def test_every_trained_parameter_is_in_one_group() -> None:
    for network in networks().values():
        for decay in (0.0, 1e-4):
            grouped = [id(parameter) for group in decay_groups(network, decay) for parameter in group["params"]]
            assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)
