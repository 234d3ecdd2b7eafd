"""From a trained network to a generator that can be asked: bars, training, reference."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import CUT_ROWS, Bars, Cells, cut
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.generator.reference import Reference
from varjepa.inference.generator.table_generator import TableGenerator, batches
from varjepa.models.network import TableNetwork
from varjepa.training.epoch_rows import Table
from varjepa.training.generator import GeneratorProgress, GeneratorTrainer

Held = tuple[TableTensors, Tensor]
"""Rows outside of training, and their deviations beyond the training range [N, n_numeric]."""


def fitted_generator(
    network: TableNetwork,
    preprocessor: Preprocessor,
    config: RetrainConfig,
    *,
    tables: tuple[Table, Table],
    held: tuple[Held, Held],
    on_progress: GeneratorProgress = lambda *_: None,
    checkpoint: Path | None = None,
) -> TableGenerator:
    """Trains a generator and measures its reference.

    Args:
        network: trained, in evaluation mode, on the device of all rows.
        preprocessor: that encoded the rows.
        config: of the job.
        tables: (training rows, validation rows).
        held: rows for imputation intervals, which nothing should have looked at, and rows for anomaly scores.
        on_progress: see `GeneratorTrainer.fit`.
        checkpoint: see `GeneratorTrainer`.
    """
    bars = cut_bars(tables[0], config.generator.n_bars)
    cells = Cells(bars, preprocessor.sizes.cardinalities).to(tables[0].device)
    trainer = GeneratorTrainer(
        network=network,
        cells=cells,
        tables=tables,
        section=config.generator,
        training=config.training,
        n_heads=config.model.n_heads,
        checkpoint=checkpoint,
    )
    trained = trainer.fit(on_progress)
    generator = TableGenerator(network, trained, bars, preprocessor, Reference())
    generator.reference = measure_reference(
        generator, *held, missing=config.generator.missing, seed=config.training.seed
    )
    return generator


def cut_bars(table: Table, n_bars: int) -> tuple[Bars, ...]:
    """Bars of the numeric features from evenly spaced training rows."""
    rows = table.rows(slice(None, None, max(1, table.n_rows // CUT_ROWS)))
    return tuple(
        cut(values[there].cpu().numpy(), n_bars) for values, there in zip(rows.numeric.T, rows.observed.T, strict=False)
    )


PATTERN_ROWS = 2000
"""Rows whose gaps samples may copy."""


def measure_reference(
    generator: TableGenerator,
    held: tuple[TableTensors, Tensor],
    other: tuple[TableTensors, Tensor],
    *,
    missing: float,
    seed: int,
    batch_size: int = 1024,
) -> Reference:
    """Looks at rows outside of training.

    Args:
        generator: without a reference so far.
        held: rows that nothing has looked at, and their deviations beyond the training range; for the intervals.
        other: the same of rows for anomaly scores and patterns of gaps; validation rows will do.
        missing: share of observed cells to hide for the intervals.
        seed: of what is hidden.
        batch_size: rows at a time.
    """
    reach, counts = _reaches(generator, held[0], missing, seed, batch_size)
    surprises = [
        generator.surprise(other[0].rows(rows), other[1][rows]).cpu() for rows in batches(other[0].n_rows, batch_size)
    ]
    known = torch.cat(surprises).double().numpy()
    observed = other[0].observed.cpu().numpy()
    tails = np.geomspace(1.0, 1.0 / (len(known) + 1), 64)
    surprise = []
    for values, there in zip(known.T, observed.T, strict=True):
        seen = values[there] if there.any() else np.zeros(1)
        steps = np.quantile(seen, 1 - tails)
        surprise.append(tuple((np.maximum.accumulate(steps) + 1e-9 * np.arange(len(steps))).tolist()))
    gaps = ~observed[:PATTERN_ROWS]
    patterns = ["".join("01"[int(cell)] for cell in row) for row in gaps] if gaps.any() else []
    return Reference(
        reach=reach, rows=counts, surprise=tuple(surprise), tail=tuple((-np.log(tails)).tolist()),
        patterns=tuple(patterns),
    )  # fmt: skip


def _reaches(
    generator: TableGenerator, table: TableTensors, missing: float, seed: int, batch_size: int
) -> tuple[tuple[tuple[float, ...], ...], tuple[int, ...]]:
    rounds = max(1, round(1 / missing))
    # Every cell is hidden once, in one of the rounds: as many cells as there are speak for each feature.
    turn = torch.from_numpy(np.random.default_rng([seed, 90]).integers(rounds, size=table.observed.shape))
    turn = turn.to(table.observed.device)
    found: list[list[NDArray[np.float64]]] = [[] for _ in range(generator.n_numeric)]
    for rows in batches(table.n_rows, batch_size):
        part = table.rows(rows)
        for now in range(rounds):
            away = (turn[rows] == now) & part.observed
            seen = part.observed & ~away
            chances = generator.probabilities(part._replace(observed=seen), seen)
            for j in range(generator.n_numeric):
                here = away[:, j]
                found[j].append(generator.reaches(j, chances[here, j], part.rows(here)).cpu().numpy())
    values = [np.concatenate(parts) if parts else np.zeros(0) for parts in found]
    quantiles = [tuple(np.quantile(v, np.linspace(0, 1, 101)).tolist()) if len(v) else (1.0, 1.0) for v in values]
    return tuple(quantiles), tuple(len(v) for v in values)
