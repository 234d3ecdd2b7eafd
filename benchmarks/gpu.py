"""Training on a GPU.

Measures rows per second, the gain from CUDA graphs, compiled blocks and larger batches, the share of peak arithmetic,
and whether the result equals that of a CPU.

    python -m benchmarks.gpu [--device cuda]

Needs torch, numpy, pydantic and PyYAML. Writes `results/gpu.json`. On another device it only checks that it runs, with
tiny sizes, and writes nothing.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmarks.harness import RESULTS, Figure, Timing, in_turns, line, publish
from benchmarks.training import SHAPES, Shape, Stepper, flops, made_table, products_of
from varjepa.config import ObjectiveSection, TrainingSection
from varjepa.data.tensors.table import TableTensors
from varjepa.models.new_network import build_network
from varjepa.nn.random import initial_weights
from varjepa.training.loop import Metrics, Trainer

STEPS, REPEATS = 40, 5
"""Steps of a call: enough that most sizes of masks come twice."""
EPOCHS, ADULT_ROWS = 4, 29_305
WAYS: dict[str, dict[str, Any]] = {
    "as it is written": {},
    "graphs": {"cuda_graphs": True},
    "graphs, compiled blocks": {"cuda_graphs": True, "compile": True},
}
BATCHES = {"adult": (512, 2048, 8192), "covertype": (512, 2048), "mnist": (256,)}
LEARNED_ROWS, SEEDS = 8_192, (0, 1, 2)


def run(device: str) -> Iterator[Figure]:
    """All figures; without a GPU a check that everything runs."""
    real = device.startswith("cuda")
    peak = matrix_peak(device, 8192 if real else 256)
    yield Figure("torch.mm, bfloat16, squares of 8,192", peak / 1e12, "TFLOP/s")
    for name, batches in BATCHES.items():
        shape = SHAPES[name]
        work = flops(products_of(Stepper(shape._replace(batch=8), steps=4, precision="float32"))) / 32
        yield Figure(f"{name}: arithmetic of a row", work / 1e9, "GFLOP")
        for batch in batches if real else (8,):
            found = timed(shape._replace(batch=batch), device, STEPS if real else 2)
            for way, timing in found.items():
                speed = (STEPS if real else 2) * batch / timing.median
                asked = "at least 400,000" if name == "adult" else ""
                yield Figure(f"{name}, batches of {batch:,}, {way}", speed, "rows/s", timing.noise, asked)
            share = work * (STEPS if real else 2) * batch / min(t.median for t in found.values()) / peak
            asked = "at least 0.2" if name == "mnist" else ""
            yield Figure(f"{name}, batches of {batch:,}: share of torch.mm's peak", share, "x", None, asked)
    yield from epochs(device, ADULT_ROWS if real else 64)
    yield from learned(device, LEARNED_ROWS if real else 64)


def synchronised(call: Callable[[], Any], device: str) -> Callable[[], None]:
    """Runs the call and waits until the device has finished."""

    def whole() -> None:
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return whole


def matrix_peak(device: str, size: int) -> float:
    """Operations per second of a large matrix product in 16 bits."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    found = in_turns({"mm": synchronised(lambda: torch.mm(a, b), device)}, 20)["mm"]
    return 2 * size**3 / found.median


def timed(shape: Shape, device: str, steps: int) -> dict[str, Timing]:
    """Seconds of some steps, each way. All mask sizes have occurred before the clock starts."""
    calls = {}
    for way, settings in WAYS.items():
        stepper = Stepper(shape, device=device, steps=steps, **settings)
        stepper()  # meets every size of masks, the second call records it, the third (of `in_turns`) replays
        stepper()
        calls[way] = synchronised(stepper, device)
    return in_turns(calls, REPEATS)


def epochs(device: str, rows: int) -> Iterator[Figure]:
    """Whole epochs with Adult's number of training rows, table and masks on the device, without evaluation."""
    table = made_table(SHAPES["adult"].sizes, rows).to(device)
    for batch in (512, 4096):
        training = TrainingSection(
            batch_size=batch, lr_batch=512, max_epochs=EPOCHS, eval_every=EPOCHS, warmup_epochs=0.1, cuda_graphs=True
        )
        started = time.perf_counter()
        history = fitted(table, table.rows(slice(0, 512)), device, training)
        seconds = time.perf_counter() - started
        speed = statistics.median(epoch["training/rows_per_second"] for epoch in history[1:])
        yield Figure(f"adult, epochs in batches of {batch:,}", speed, "rows/s", None, "at least 400,000")
        yield Figure("... the first four, with recording", seconds, "s")
        yield Figure("... 100 epochs, reckoned", seconds + (100 - EPOCHS) * rows / speed, "s", None, "under 15")


def learned(device: str, rows: int) -> Iterator[Figure]:
    """Validation ELBO of the same training runs on this device and on a CPU."""
    table = made_table(SHAPES["adult"].sizes, rows)
    table.numeric[:, 1:] = table.numeric[:, :1] + 0.5 * table.numeric[:, 1:]
    table.codes[:, 1] = 2 + (table.numeric[:, 0] > 0)
    parts = [table.rows(slice(0, 7 * rows // 8)), table.rows(slice(7 * rows // 8, rows))]
    found: dict[str, list[float]] = {}
    for where in (device, "cpu"):
        train, validation = (part.to(where) for part in parts)
        for seed in SEEDS:
            training = TrainingSection(max_epochs=6, batch_size=128, seed=seed, eval_every=6, cuda_graphs=True)
            history = fitted(train, validation, where, training)
            found.setdefault(f"on {where}", []).append(history[-1]["validation/elbo"])
    for where, elbos in found.items():
        yield Figure(f"validation ELBO {where}, mean of {len(SEEDS)} seeds", statistics.mean(elbos), "nats")
        yield Figure("... standard deviation", statistics.stdev(elbos), "nats")


def fitted(table: TableTensors, validation: TableTensors, device: str, training: TrainingSection) -> list[Metrics]:
    """Trains a network with Adult's published sizes; returns the metrics of its epochs."""
    shape = SHAPES["adult"]
    with initial_weights(training.seed):
        network = build_network(sizes=shape.sizes, model=shape.model).to(device)
    trainer = Trainer(
        network=network, tables=(table, validation), objective=ObjectiveSection(), masking=shape.masking,
        training=training,
    )  # fmt: skip
    return trainer.fit(lambda _: None, lambda *_: None).history


def memory() -> float:
    """Memory of the GPU, GiB."""
    return torch.cuda.get_device_properties(0).total_memory / 2**30


def main() -> None:
    """Parses the arguments, measures, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    words = parser.parse_args()
    figures = []
    for figure in run(words.device):
        print(line(figure, 70), flush=True)
        figures.append(figure)
    if words.device.startswith("cuda"):
        figures.insert(0, Figure(f"memory of the GPU, {torch.cuda.get_device_name()}", memory(), "GiB"))
        publish("gpu", figures, RESULTS, command="python -m benchmarks.gpu")


if __name__ == "__main__":
    main()
