"""Training on tables larger than memory: memory and speed compared with a table in memory, and the quality of the
order.

Memory and speed use the table of the preprocessing benchmark, whose order does not matter. The quality of the order is
measured on the worst case, a table sorted by the column under test.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import torch

from benchmarks.harness import Figure, child, in_turns
from benchmarks.preprocessing import LABEL, made_batch, make
from benchmarks.scoring import TINY
from varjepa.config import DataSection, MaskingSection, ObjectiveSection, PreprocessSection, TrainingSection
from varjepa.config.learning import ModelSection
from varjepa.data.encode.encoded import packed_chunks
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.sim_table import sim_table
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.shards import write_shards
from varjepa.data.tensors.table import PackedTable, TableSizes, TableTensors
from varjepa.evaluation.epoch_scores import ProbeEvaluator
from varjepa.models.new_network import build_network
from varjepa.nn.random import Randomness, initial_weights
from varjepa.tasks.retrain.encoded_rows import EncodedRows
from varjepa.training.device import keep_memory
from varjepa.training.distributed import World
from varjepa.training.epoch_rows import HeldRows, RowSource, ShardedRows
from varjepa.training.loop import Trainer

FEW, MANY = 10_000_000, 50_000_000
"""Rows of the tables."""
SMALL = 0.25
"""GiB of `training.memory` with which both are read from shards."""
BATCH, STEPS, REPEATS = 512, 10, 7
MEMORY_STEPS = 20
SORTED_ROWS, SORTED_SHARDS, GROUP = 2_000_000, 16, 125_000
"""Of the table whose order is measured; rows of a row group of Parquet files as the preprocessing step writes them."""
SIM_ROWS, SEEDS = 10_000, (0, 1, 2)
"""Of the trainings whose outcome is compared."""


def run(few: int = FEW, many: int = MANY) -> list[Figure]:
    """Creates the tables, measures, deletes them."""
    figures = []
    with TemporaryDirectory() as folder:
        for rows in (few, many):
            path = Path(folder) / str(rows)
            make(path, made_batch, rows)
            _child("prepare", path)
            name = f"{rows / 1e6:g} million rows"
            if rows == few:
                idle, _ = _child("nothing", path)
                figures.append(Figure("memory after the imports", idle, "GiB"))
                peak, told = _child("train", path, "4")
                figures.append(Figure(f"{name} in memory: peak of training", peak, "GiB"))
            peak, told = _child("train", path, str(SMALL))
            figures += [
                Figure(f"{name} in {told['shards']:.0f} shards: peak of training", peak, "GiB", None, "flat"),
                Figure("... throwing the rows into shards", told["seconds"], "s"),
                Figure("... the same over one epoch of training", told["seconds"] / told["epoch"], "x"),
            ]
            if rows == few:
                speed = _child("speed", path)[1]
    figures += [
        Figure(f"rows/s from shards over rows/s in memory, {kind}", speed[kind], "x", speed[f"{kind} noise"], "1")
        for kind in ("published sizes", "tiny network")
    ]
    return figures + quality() + learned()


def _child(role: str, *words: object) -> tuple[float, dict[str, float]]:
    peak, out = child("-m", "benchmarks.shards", role, *map(str, words))
    return peak, json.loads(out.splitlines()[-1])


def quality() -> list[Figure]:
    """How much batches of a sorted table differ from uniform draws, for shards and for a window over row groups."""
    with TemporaryDirectory() as folder:
        sizes = TableSizes(1, [])
        chunks = (PackedTable(torch.arange(start, start + GROUP, dtype=torch.float32)[:, None] / SORTED_ROWS,
                              torch.zeros(GROUP, 0, dtype=torch.uint8))
                  for start in range(0, SORTED_ROWS, GROUP))  # fmt: skip
        shards = write_shards(chunks, Path(folder) / "shards", sizes=sizes, count=SORTED_SHARDS, seed=0)
        source = ShardedRows(shards, torch.device("cpu"))
        thrown = [batch.numeric[:, 0].numpy() for batch in source.batches(BATCH, Randomness.seeded(0), 0)]
    places = _windowed(SORTED_ROWS, SORTED_SHARDS, BATCH, np.random.default_rng(0))
    window, figures = [batch / SORTED_ROWS for batch in places], []
    for name, batches in (("shards", thrown), ("window of four row groups", window)):
        spread, correlation = _order(batches)
        asked = ("1", "0") if name == "shards" else ("", "")
        figures += [
            Figure(f"sorted table, {name}: variance of batch means over that of uniform draws", spread, "x", None,
                   asked[0]),
            Figure("... largest correlation of place and time, by eighths of a pass", correlation, "", None, asked[1]),
        ]  # fmt: skip
    return figures


def _windowed(rows: int, groups: int, size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Row positions in the order of a shuffle buffer: row groups in random order, permuted four at a time."""
    edges = np.arange(groups + 1) * rows // groups
    for four in random.permutation(groups).reshape(-1, 4):
        places = random.permutation(np.concatenate([np.arange(edges[one], edges[one + 1]) for one in four]))
        yield from np.split(places, range(size, len(places), size))


class WindowRows(HeldRows):
    """A table whose batches come from a window over row groups."""

    def batches(self, size: int, random: Randomness, first: int) -> Iterator[TableTensors]:
        """Batches in the order of `_windowed`."""
        assert first == 0
        order = _windowed(self.n_rows, SORTED_SHARDS, size, random.host)
        return (self.table.rows(torch.from_numpy(places)) for places in order)


def learned() -> list[Figure]:
    """Training on a table sorted by its label, with batches from uniform draws, from shards and from a window."""
    found: dict[str, list[tuple[float, float]]] = {"uniform draws": [], "shards": [], "window of four row groups": []}
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = sim_table(rows=SIM_ROWS).drop("ambiguity").sort("label")
        table.insert_column(0, pl.Series(ROW, np.arange(SIM_ROWS))).write_parquet(folder / "table.parquet")
        prepare(folder, "label")
        rows = encoded_rows(folder, 4)
        held = rows.source(["train"], folder / "none", World())
        assert isinstance(held, HeldRows)
        chunks = packed_chunks(rows.path, rows.preprocessor, "train")
        thrown = write_shards(chunks, folder / "shards", sizes=rows.preprocessor.sizes, count=SORTED_SHARDS, seed=0)
        sources: tuple[RowSource, ...] = (held, ShardedRows(thrown, rows.device), WindowRows(held.table))
        for seed in SEEDS:
            for into, source in zip(found.values(), sources, strict=True):
                into.append(_outcome(rows, source, seed))
    figures = []
    for name, outcomes in found.items():
        elbo, accuracy = (float(np.mean(values)) for values in zip(*outcomes, strict=True))
        spread = float(np.std([one[0] for one in outcomes]))
        figures += [
            Figure(f"sorted by label, {name}: validation ELBO, mean of {len(SEEDS)} seeds", elbo, "nats"),
            Figure("... standard deviation over seeds", spread, "nats"),
            Figure("... accuracy of the probe", accuracy, ""),
        ]
    return figures


def _outcome(rows: EncodedRows, source: RowSource, seed: int) -> tuple[float, float]:
    """Validation ELBO and accuracy of the probe after the last epoch."""
    training = rows.training.model_copy(update={"seed": seed, "max_epochs": 2, "batch_size": 128, "lr": 3e-3})
    rows = replace(rows, training=training)
    train, validation = (rows.sample(part, 5000, learnable=True) for part in ("train", "validation"))
    trainer = table_trainer(source, rows, ModelSection.model_validate(TINY), seed)
    label = rows.preprocessor.label
    assert label is not None
    trainer.evaluate = ProbeEvaluator(
        train.table, train.labels, validation.table, validation.labels, len(label.classes),
        selective=False, aggregate="mean",
    )  # fmt: skip
    last = trainer.fit(lambda _: None, lambda *_: None).history[-1]
    return last["validation/elbo"], last["validation/probe_accuracy"]


def _order(batches: list[np.ndarray]) -> tuple[float, float]:
    """Variance of batch means, and the largest correlation of a row's position with an eighth of the pass."""
    full = np.stack([batch for batch in batches if len(batch) == BATCH]).astype(np.float64)
    eighth = np.arange(len(full)) * 8 // len(full)
    correlations = [np.corrcoef(full.ravel(), np.repeat(eighth == k, BATCH))[0, 1] for k in range(8)]
    return float(full.mean(1).var() / (1 / 12 / BATCH)), float(np.abs(correlations).max())


def encoded_rows(folder: Path, memory: float) -> EncodedRows:
    """The results of `prepare` in a folder."""
    preprocessor = Preprocessor.read(folder / "preprocessor.json")
    return EncodedRows(
        folder / "encoded.parquet", preprocessor, TrainingSection(memory=memory, batch_size=BATCH), torch.device("cpu")
    )


def table_trainer(source: RowSource, rows: EncodedRows, model: ModelSection, seed: int = 0) -> Trainer:
    """A new network on these rows."""
    with initial_weights(seed):
        network = build_network(sizes=rows.preprocessor.sizes, model=model)
    validation = rows.at_most("validation", 10_000)
    return Trainer(
        network=network.train(), tables=(source, validation), objective=ObjectiveSection(), masking=MaskingSection(),
        training=rows.training,
    )  # fmt: skip


def _nothing(_folder: Path) -> dict[str, float]:
    return {}


def prepare(folder: Path, label: str = LABEL) -> dict[str, float]:
    """Preprocesses `table.parquet` of a folder."""
    from varjepa.tasks.retrain.preprocess import divide, inspect, learn, write_encoded

    data = DataSection(path="table.parquet", label=label)
    verdicts = inspect(folder / "table.parquet", data)
    marked, _ = divide(folder / "table.parquet", data.split, folder)
    preprocessor = learn(marked, data, PreprocessSection(), verdicts.kinds)
    write_encoded(marked, preprocessor, folder / "encoded.parquet")
    (folder / "preprocessor.json").write_text(preprocessor.model_dump_json(), encoding="utf-8")
    return {}


def _train(folder: Path, memory: str) -> dict[str, float]:
    """Some steps at the beginning of an epoch and some in its middle, with everything that training holds in memory."""
    keep_memory()
    rows, started = encoded_rows(folder, float(memory)), time.perf_counter()
    source = rows.source(["train"], folder / f"shards{memory}", World())
    seconds = time.perf_counter() - started
    samples = [rows.sample(part, rows.training.eval_rows, learnable=True) for part in ("train", "validation")]
    trainer, random = table_trainer(source, rows, ModelSection()), Randomness.seeded(0)
    started = time.perf_counter()
    for first in (0, trainer.steps_per_epoch // 2):
        for batch in islice(source.batches(BATCH, random, first), MEMORY_STEPS):
            trainer._step(batch, 0, random)
    epoch = (time.perf_counter() - started) / (2 * MEMORY_STEPS) * trainer.steps_per_epoch
    shards = len(source.shards.rows) if isinstance(source, ShardedRows) else 0
    return {"seconds": seconds, "epoch": epoch, "shards": float(shards), "samples": float(len(samples))}


def _speed(folder: Path) -> dict[str, float]:
    """Steps on rows in memory and from shards, in turns."""
    keep_memory()
    held, found = encoded_rows(folder, 4), {}
    thrown = encoded_rows(folder, SMALL).source(["train"], folder / f"shards{SMALL}", World())
    in_memory = held.source(["train"], folder / "none", World())
    assert isinstance(in_memory, HeldRows)
    assert isinstance(thrown, ShardedRows)
    for kind, model in (("published sizes", ModelSection()), ("tiny network", ModelSection.model_validate(TINY))):
        calls = {
            name: _steps(table_trainer(source, held, model), STEPS if kind == "published sizes" else 20 * STEPS)
            for name, source in (("held", in_memory), ("thrown", thrown))
        }
        timings = in_turns(calls, REPEATS)
        found[kind] = timings["held"].median / timings["thrown"].median
        found[f"{kind} noise"] = max(timing.noise for timing in timings.values())
    return found


def _steps(trainer: Trainer, steps: int) -> Callable[[], None]:
    """Takes the next steps of an endless training run at every call."""

    def batches() -> Iterator[Any]:
        for epoch in range(1000):
            yield from trainer.epochs.batches(epoch, Randomness.seeded(0, epoch), 0)

    coming, random = batches(), Randomness.seeded(1)

    def call() -> None:
        for batch in islice(coming, steps):
            trainer._step(batch, 0, random)

    return call


if __name__ == "__main__":
    roles: dict[str, Callable[..., object]] = {
        "nothing": _nothing,
        "prepare": prepare,
        "train": _train,
        "speed": _speed,
    }
    print(json.dumps(roles[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
