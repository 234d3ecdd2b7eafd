"""Step 5: fit the basis of the compact vectors of rows, which similar rows are found by."""

from dataclasses import dataclass
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.inference.vectors.fitting import fit_compact, fitting_rows
from varjepa.inference.vectors.storage import save_compact
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("compact", __name__)

HIDDEN_ROWS = 5000
"""Validation rows from which those are drawn in which cells are hidden."""


@dataclass(frozen=True)
class Compacted:
    """The compact vectors of a model.

    Attributes:
        folder: with their file (see `varjepa.inference.storage`).
        metrics: vectors/...; `recovered` is the share of the variation of hidden cells that nearest rows explain.
    """

    folder: Path
    metrics: dict[str, float]


@task(name="compact", task_run_name="compact")
def compact(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Compacted:
    """Fits the basis on training rows; hidden cells of validation rows choose its shape. No label takes part."""
    folder = STEP.folder(config, str(pretrained.weights))
    return reuse(folder, Compacted, lambda: _compact(prepared, pretrained, config, folder))


def _compact(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path) -> Compacted:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    network = pretrained.network(preprocessor, config)
    most = fitting_rows(preprocessor.sizes.n_features, network.d_hidden)
    train, validation = (
        read_sample(prepared.encoded, preprocessor, name, most=rows, seed=0).to(network.device)
        for name, rows in (("train", most), ("validation", HIDDEN_ROWS))
    )
    embedder = embedder_of(prepared, pretrained, config, network, "train")
    known = embedder(train.table, train.rows).mean
    basis = fit_compact(network, train.table, validation.table, known=known)
    save_compact(folder, basis)
    return Compacted(folder, {"vectors/recovered": basis.recovered})
