"""From a trained network to a generator that can be asked: bars, training, reference."""

from pathlib import Path

from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import CUT_ROWS, Bars, Cells, cut
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.generation import Reference, TableGenerator, measure_reference
from varjepa.models.network import TableNetwork
from varjepa.training.generator import GeneratorProgress, GeneratorTrainer
from varjepa.training.rows import Table

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
