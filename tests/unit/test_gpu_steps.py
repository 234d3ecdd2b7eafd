"""Steps as a GPU takes them: what must hold of them is shown without one, that they repeat themselves needs one."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.small_networks import SIZES, SMALL, random_table
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.models.masks import draw_masks
from varjepa.models.new_network import build_network
from varjepa.nn import attention
from varjepa.nn.decay import Parameters
from varjepa.nn.muon import Muon
from varjepa.nn.random import Randomness, initial_weights
from varjepa.nn.transformer import TransformerEncoder, compile_blocks
from varjepa.objective.objective import objective_for
from varjepa.training.loop import Trainer
from varjepa.training.settings import BLOCK, StepSettings


class OnMeta(Randomness):
    """Draws on the meta device, where there are shapes and no numbers: whoever asks for one is refused."""

    def uniform(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, device="meta")


class StaysThere(TorchDispatchMode):
    """Refuses operations on tensors of the host: a recorded step would not see them change."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        assert devices <= {"meta"}, f"{func} reads from {devices}"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_a_step_neither_waits_for_the_device_nor_asks_the_host(kind: str) -> None:
    network = build_network(sizes=SIZES, model=SMALL.model_copy(update={"kind": kind, "dropout": 0.1})).to("meta")
    objective = objective_for(network, ObjectiveSection(), steps_per_epoch=4, epochs=2)
    table = random_table(32, missing=0.1).to("meta")
    weights = torch.ones(len(objective.terms_type._fields), device="meta")
    random = OnMeta.seeded(0)
    before = random.state()["host"]
    with StaysThere():
        masks = draw_masks(table.observed, (2, 2), 3, random)
        terms = objective.terms(table, masks, network(table, masks, random)).mean()
        (torch.stack(terms) * weights).sum().backward()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None for parameter in trained)
    muon = Muon(Parameters.of(network).matrices, lr=0.0, weight_decay=0.1)
    muon.param_groups[0]["lr"] = torch.ones((), device="meta")  # as a recorded step reads it
    with StaysThere():
        muon.step()
    assert random.state()["host"] == before


@pytest.mark.slow
def test_one_program_serves_all_blocks_and_all_sizes_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "attend", attention.attend_by_torch)
    monkeypatch.setattr(torch._dynamo.config, "error_on_recompile", True)
    # Processes that compile would import torch first, which takes longer than to compile these few kernels.
    monkeypatch.setattr(torch._inductor.config, "compile_threads", 1)
    torch._dynamo.reset()
    for seed, (rows, length) in enumerate([(8, 5), (16, 7), (9, 18)]):
        torch.manual_seed(seed)
        encoder = TransformerEncoder(d_model=16, n_layers=1, n_heads=2, d_feedforward=24, dropout=0.1)
        block = encoder.blocks[0]
        x, valid = torch.randn(rows, length, 16, requires_grad=True), torch.rand(rows, length) < 0.7
        valid[0] = False
        wanted = (x, *block.parameters())
        (dropped,) = encoder.dropped(x, Randomness.seeded(3))
        plain, compiled = (call(x, valid, dropped) for call in (block, block.compiled))
        torch.testing.assert_close(compiled, plain)
        for found, expected in zip(*(torch.autograd.grad(y.square().sum(), wanted) for y in (compiled, plain)),
                                   strict=True):  # fmt: skip
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_settings_are_those_of_the_step_in_any_order() -> None:
    settings = StepSettings(lambda step: (step, step / 2), torch.device("cpu"))
    place = settings.now[0]
    for step in (0, 1, BLOCK - 1, BLOCK, 5 * BLOCK + 3, 5 * BLOCK + 4, 2):
        settings.set(step)
        assert settings.now.tolist() == [step, step / 2]
        assert place == step  # a view of it follows


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
@pytest.mark.parametrize("compiles", [False, True])
def test_replayed_steps_are_the_steps_themselves(kind: str, compiles: bool) -> None:
    def trained(cuda_graphs: bool) -> tuple[torch.Tensor, list[dict[str, float]], Trainer]:
        model = SMALL.model_copy(update={"dropout": 0.05, "kind": kind})
        with initial_weights(0):
            network = build_network(sizes=SIZES, model=model).to("cuda")
        training = TrainingSection(max_epochs=6, batch_size=32, cuda_graphs=cuda_graphs, compile=compiles)
        table = random_table(300, missing=0.1).to("cuda")
        run = Trainer(
            network=network, tables=(table, table), objective=ObjectiveSection(), masking=MaskingSection(),
            training=training,
        )  # fmt: skip
        history = run.fit(lambda _: None, lambda *_: None).history
        return torch.cat([value.flatten() for value in network.state_dict().values()]), history, run

    (mine, curve, run), (theirs, expected, _) = trained(cuda_graphs=True), trained(cuda_graphs=False)
    assert len(run.optimise.recorded) > 1
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    for found, wanted in zip(curve, expected, strict=True):
        assert found["train/" + run.objective.headline] == pytest.approx(wanted["train/" + run.objective.headline],
                                                                         rel=1e-4)  # fmt: skip


def test_networks_compile_where_they_are_told_to() -> None:
    network = build_network(sizes=SIZES, model=SMALL)
    compile_blocks(network, on=True)
    assert [encoder.compiles for encoder in (network.context_encoder, network.target_encoder,
                                             network.predictor.encoder)] == [True] * 3  # fmt: skip
