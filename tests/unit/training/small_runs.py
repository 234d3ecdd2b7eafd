"""Small training runs that tests start, kill and compare."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from tests.small_networks import SIZES, SMALL, random_table, small_network
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.config.heads import GeneratorSection
from varjepa.data.tensors.bars import Cells
from varjepa.inference.generator.fitting import cut_bars
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training import activations
from varjepa.training.generator import GeneratorTrainer
from varjepa.training.loop import Trainer

TRAINING = TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, patience=10)


def correlated(rows: int = 256) -> tuple:
    """A table whose features say something about each other."""
    table = random_table(rows, missing=0.1)
    table.numeric[:, 1] = table.numeric[:, 0]
    table.codes[:, 1] = 1 + (table.numeric[:, 0] > 0).long()
    return table.rows(slice(0, 192)), table.rows(slice(192, rows))


def trainer(
    training: TrainingSection = TRAINING, checkpoint: Path | None = None, evaluate=None, kind: str = "var_t_jepa"
) -> Trainer:
    model = SMALL.model_copy(update={"dropout": 0.01, "kind": kind})
    with initial_weights(0):
        network = build_network(sizes=SIZES, model=model)
    return Trainer(network=network, tables=correlated(), objective=ObjectiveSection(),
                   masking=MaskingSection(), training=training, evaluate=evaluate, checkpoint=checkpoint)  # fmt: skip


def generator_trainer(
    checkpoint: Path | None = None, precision: Literal["auto", "float32"] = "auto", **settings: int
) -> GeneratorTrainer:
    tables = correlated()
    cells = Cells(cut_bars(tables[0], 8, [(-1.0, 1.0)] * SIZES.n_numeric), SIZES.cardinalities)
    section = GeneratorSection(n_layers=1, evaluations=5, **({"max_steps": 40, "batch_size": 32} | settings))
    training = TrainingSection(seed=3, checkpoint_minutes=0.0, precision=precision)
    return GeneratorTrainer(network=small_network(), cells=cells, tables=tables, section=section, n_heads=2,
                            training=training, checkpoint=checkpoint)  # fmt: skip


def quiet(*_: object) -> None:
    pass


def weights(of: Trainer) -> torch.Tensor:
    return torch.cat([value.flatten() for value in of.network.state_dict().values()])


class KilledError(Exception):
    pass


def killed_at(run, step: int, call) -> None:
    """Calls, and kills the training before a step that would come after so many."""
    real, taken = run._step, iter(range(step))

    def step_or_die(*arguments):
        if next(taken, None) is None:
            raise KilledError
        return real(*arguments)

    run._step = step_or_die
    with pytest.raises(KilledError):
        call()


def undated(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in m.items() if k not in ("training/seconds", "training/rows_per_second")} for m in history]


def leave_memory_for_seven(run: Trainer | GeneratorTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    row_bytes = activations.ACTIVATIONS // run.rows_at_once
    monkeypatch.setattr(activations, "ACTIVATIONS", 7 * row_bytes)  # else batches of small tables are never divided
