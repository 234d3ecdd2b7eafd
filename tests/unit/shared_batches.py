"""Trains a small network, alone or as one of several processes; the leading one writes what came of it.

Run by `test_distributed.py`: `torchrun ... shared_batches.py OUT KIND ROWS CHECKPOINT`.
"""

import sys
from pathlib import Path

import torch

from tests.conftest import SIZES, SMALL, random_table
from varjepa.config import MaskingSection, ObjectiveSection, TrainingSection
from varjepa.models.kinds import build_network
from varjepa.nn.random import initial_weights
from varjepa.training.distributed import joined_world, leave
from varjepa.training.loop import Trainer


def main(out: Path, kind: str, rows: int, checkpoint: Path | None) -> None:
    table = random_table(rows + 64, missing=0.1)
    with initial_weights(0):
        network = build_network(sizes=SIZES, model=SMALL.model_copy(update={"dropout": 0.05, "kind": kind}))
    with joined_world(torch.device("cpu")) as world:
        trainer = Trainer(
            network=network, tables=(table.rows(slice(rows)), table.rows(slice(rows, rows + 64))),
            objective=ObjectiveSection(), masking=MaskingSection(), world=world, checkpoint=checkpoint,
            training=TrainingSection(max_epochs=4, batch_size=32, lr=3e-3, warmup_epochs=0.5, precision="float32"),
            evaluate=lambda network: (sum(float(p.detach().square().sum()) for p in network.parameters()), {}),
        )  # fmt: skip
        trained = trainer.fit(lambda *_: None, lambda *_: None)
        if world.leads:
            torch.save({"history": trained.history, "weights": network.state_dict(), "size": world.size}, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]) if len(sys.argv) > 4 else None)
    leave()
