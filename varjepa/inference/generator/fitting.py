"""From a trained network to a finished generator: bars, training, reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import CUT_ROWS, Bars, Cells, cut, one_bar
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.generator.reference import Reference
from varjepa.inference.generator.table_generator import GROUPINGS, TableGenerator, batches
from varjepa.inference.generator.tails import among_others, of_rows, tail_points
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
        held: rows for imputation intervals, which should be unused so far, and rows for anomaly scores.
        on_progress: see `GeneratorTrainer.fit`.
        checkpoint: see `GeneratorTrainer`.
    """
    bars = cut_bars(tables[0], config.generator.n_bars, [feature.ends for feature in preprocessor.numeric])
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
    # The reference is measured with the generator itself, so the generator starts with an empty one.
    generator = TableGenerator(network, trained, bars, preprocessor, Reference(groupings=GROUPINGS))
    generator.reference = measure_reference(
        generator, *held, missing=config.generator.missing, seed=config.training.seed
    )
    return generator


def cut_bars(table: Table, n_bars: int, ranges: Sequence[tuple[float, float]]) -> tuple[Bars, ...]:
    """Bars of the numeric features from evenly spaced training rows.

    Args:
        table: the training rows.
        n_bars: see `varjepa.data.tensors.bars.cut`.
        ranges: encoded ends of the numeric features. One of which these rows hold no cell has a single bar: its range.
    """
    rows = table.rows(slice(None, None, max(1, table.n_rows // CUT_ROWS)))
    # `observed` has columns of categorical features as well, after the numeric ones: not strict.
    cells = (values[seen].cpu().numpy() for values, seen in zip(rows.numeric.T, rows.observed.T, strict=False))
    return tuple(
        cut(values, n_bars) if len(values) else one_bar(*ends) for values, ends in zip(cells, ranges, strict=True)
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
    """Measures the reference on rows outside of training.

    Args:
        generator: without a reference so far.
        held: unused rows, and their deviations beyond the training range; for the intervals.
        other: the same for anomaly scores and patterns of gaps; validation rows will do.
        missing: share of observed cells to hide for the intervals.
        seed: of the hidden cells.
        batch_size: rows at a time.
    """
    reach, counts = _reaches(generator, held[0], missing, seed, batch_size)
    surprises = [
        generator.surprise(other[0].rows(rows), other[1][rows]).cpu() for rows in batches(other[0].n_rows, batch_size)
    ]
    measured = torch.cat(surprises).double().numpy()  # [N, D]
    observed = other[0].observed.cpu().numpy()
    rows = row_scores(measured, observed)
    gaps = ~observed[:PATTERN_ROWS]
    patterns = ["".join("01"[int(cell)] for cell in row) for row in gaps] if gaps.any() else []
    return Reference(
        reach=reach,
        rows=counts,
        surprise=tuple(tail_points(values[mask]) for values, mask in zip(measured.T, observed.T, strict=True)),
        cells=tuple(observed.sum(0).tolist()),
        row=tail_points(rows),
        row_count=len(rows),
        groupings=generator.reference.groupings,
        patterns=tuple(patterns),
    )


def row_scores(surprise: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of reference rows [N], each cell among the same feature's cells of the other rows, surprise [N, D]."""
    nats = np.zeros(surprise.shape)
    for column, values, mask in zip(nats.T, surprise.T, observed.T, strict=True):
        column[mask] = among_others(values[mask])
    return of_rows(nats, observed)


def _reaches(
    generator: TableGenerator, table: TableTensors, missing: float, seed: int, batch_size: int
) -> tuple[tuple[tuple[float, ...], ...], tuple[int, ...]]:
    rounds = max(1, round(1 / missing))
    # Every cell is hidden once, in one of the rounds, so all observed cells of a feature count.
    turn = torch.from_numpy(np.random.default_rng([seed, 90]).integers(rounds, size=table.observed.shape))
    turn = turn.to(table.observed.device)
    reaches: list[list[NDArray[np.float64]]] = [[] for _ in range(generator.n_numeric)]  # batches, per feature
    for rows in batches(table.n_rows, batch_size):
        part = table.rows(rows)
        for number in range(rounds):
            hidden = (turn[rows] == number) & part.observed
            seen = part.observed & ~hidden
            chances = generator.probabilities(part._replace(observed=seen), seen)  # [B, D, C]
            for j in range(generator.n_numeric):
                chosen = hidden[:, j]
                reaches[j].append(generator.reaches(j, chances[chosen, j], part.rows(chosen)).cpu().numpy())
    values = [np.concatenate(parts) if parts else np.zeros(0) for parts in reaches]
    # Without a single cell, a reach of 1: intervals then span the whole distribution.
    quantiles = [tuple(np.quantile(v, np.linspace(0, 1, 101)).tolist()) if len(v) else (1.0, 1.0) for v in values]
    return tuple(quantiles), tuple(len(v) for v in values)
