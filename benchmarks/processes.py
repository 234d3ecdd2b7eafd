"""Processes that share every batch: whether the loss curve is that of one process, and the gain from a second core."""

import json
import os
import sys
import time

import torch

from benchmarks.harness import Figure, child
from benchmarks.training import BATCH, SHAPES, made_table
from varjepa.config import ObjectiveSection, TrainingSection
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training.device import keep_memory
from varjepa.training.distributed import joined_world, leave
from varjepa.training.loop import Trainer

EPOCHS, STEPS, TURNS = 2, 8, 3


def train(precision: str) -> None:
    """Some epochs with Adult's sizes, alone or with others. The leading process prints losses and rows per second."""
    keep_memory()
    shape = SHAPES["adult"]
    table = made_table(shape.sizes, STEPS * BATCH)
    with initial_weights(0):
        network = build_network(sizes=shape.sizes, model=shape.model)
    with joined_world(torch.device("cpu")) as world:
        trainer = Trainer(
            network=network, tables=(table, table.rows(slice(BATCH))), objective=ObjectiveSection(),
            masking=shape.masking, world=world,
            training=TrainingSection(batch_size=BATCH, precision=precision, max_epochs=EPOCHS, lr=1e-3),
        )  # fmt: skip
        losses, speeds = [], []
        for epoch in range(EPOCHS):
            started = time.perf_counter()
            terms = trainer._train_epoch(epoch, lambda *_: None)
            speeds.append(table.n_rows / (time.perf_counter() - started))
            losses.append(trainer.objective.named(terms)["elbo"])
        if world.leads:
            print(json.dumps({"losses": losses, "rows_per_second": max(speeds)}))


def _run(precision: str, processes: int) -> tuple[list[float], float]:
    worker = ["-m", "benchmarks.processes", precision]
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *worker]
    env = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")}
    _, out = child(*(worker if processes == 1 else together), env=env)
    found = json.loads(out.splitlines()[-1])
    return found["losses"], found["rows_per_second"]


def run() -> list[Figure]:
    """One process on one core against two on two, in turns."""
    figures = []
    for precision in ("float32", "bfloat16"):
        turns = [(_run(precision, 1), _run(precision, 2)) for _ in range(TURNS)]
        (losses, _), (shared, _) = turns[0]
        ratios = sorted(two[1] / one[1] for one, two in turns)
        apart = max(abs(a - b) for a, b in zip(losses, shared, strict=True))
        spread = (ratios[-1] - ratios[0]) / 2 / ratios[TURNS // 2]
        alike = "at most 1e-4" if precision == "float32" else ""
        one, two = (max(turn[part][1] for turn in turns) for part in (0, 1))
        figures += [
            Figure(f"{precision}: largest difference of the loss curves", apart, "nats", None, alike),
            Figure(f"{precision}: one process, one core", one, "rows/s"),
            Figure(f"{precision}: two processes, two cores", two, "rows/s"),
            Figure(f"{precision}: two over one, median of turns", ratios[TURNS // 2], "x", spread, "at least 1.6"),
        ]
    return figures


if __name__ == "__main__":
    train(sys.argv[1])
    leave()
