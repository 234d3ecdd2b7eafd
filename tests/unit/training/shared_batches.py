"""Trains small networks, alone or as one of several processes; the leading one writes what came of it.

Run by `test_distributed.py`: `torchrun ... shared_batches.py JOBS`, a list of arguments of `train` as JSON.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from tests.small_networks import SIZES, SMALL, random_table
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training.distributed import World, joined_world, leave
from varjepa.training.loop import Position, Trainer


def train(
    world: World, out: str, kind: str, rows: int, *, checkpoint: str | None = None, keep: str | None = None
) -> None:
    """Trains one network; `keep` gets a copy of the last checkpoint that was written within an epoch."""
    table = random_table(rows + 64, missing=0.1)
    with initial_weights(0):
        network = build_network(sizes=SIZES, model=SMALL.model_copy(update={"dropout": 0.05, "kind": kind}))
    trainer = Trainer(
        network=network, tables=(table.rows(slice(rows)), table.rows(slice(rows, rows + 64))),
        objective=ObjectiveSection(), masking=MaskingSection(), world=world,
        checkpoint=Path(checkpoint) if checkpoint else None,
        training=TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, precision="float32",
                                 checkpoint_minutes=0.0),
        evaluate=lambda network: (sum(float(p.detach().square().sum()) for p in network.parameters()), {}),
    )  # fmt: skip
    if checkpoint and keep:
        keep_within(trainer, world, checkpoint, keep)
    trained = trainer.fit(lambda *_: None, lambda *_: None)
    if world.leads:
        torch.save({"history": trained.history, "weights": network.state_dict(), "size": world.size}, out)


def keep_within(trainer: Trainer, world: World, checkpoint: str, keep: str) -> None:
    """Lets the leading process keep each checkpoint that is written within an epoch."""
    save = trainer._save

    def save_and_keep(position: Position | None = None) -> None:
        save(position)
        if position and world.leads:
            shutil.copy(checkpoint, keep)

    trainer._save = save_and_keep


def main(jobs: list[dict[str, Any]]) -> None:
    """Trains one network after the other, in the same processes."""
    with joined_world(torch.device("cpu")) as world:
        for job in jobs:
            train(world, **job)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    leave()
