"""Trains a small network, alone or as one of several processes; the leading one writes what came of it.

Run by `test_distributed.py`: `torchrun ... shared_batches.py OUT KIND ROWS [checkpoint=FILE] [keep=FILE]`.
"""

import shutil
import sys
from pathlib import Path

import torch

from tests.conftest import SIZES, SMALL, random_table
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training.distributed import joined_world, leave
from varjepa.training.loop import Position, Trainer


def main(out: Path, kind: str, rows: int, checkpoint: str | None = None, keep: str | None = None) -> None:
    """`keep` gets a copy of the last checkpoint that was written within an epoch."""
    table = random_table(rows + 64, missing=0.1)
    with initial_weights(0):
        network = build_network(sizes=SIZES, model=SMALL.model_copy(update={"dropout": 0.05, "kind": kind}))
    with joined_world(torch.device("cpu")) as world:
        trainer = Trainer(
            network=network, tables=(table.rows(slice(rows)), table.rows(slice(rows, rows + 64))),
            objective=ObjectiveSection(), masking=MaskingSection(), world=world,
            checkpoint=Path(checkpoint) if checkpoint else None,
            training=TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, precision="float32",
                                     checkpoint_minutes=0.0),
            evaluate=lambda network: (sum(float(p.detach().square().sum()) for p in network.parameters()), {}),
        )  # fmt: skip
        if keep:
            save = trainer._save

            def save_and_keep(position: Position | None = None) -> None:
                save(position)
                if position and world.leads:
                    shutil.copy(checkpoint, keep)

            trainer._save = save_and_keep
        trained = trainer.fit(lambda *_: None, lambda *_: None)
        if world.leads:
            torch.save({"history": trained.history, "weights": network.state_dict(), "size": world.size}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), **dict(word.split("=", 1) for word in sys.argv[4:]))
    leave()
