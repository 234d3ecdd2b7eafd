"""Embeds the rows of a trained encoder once, for every predictor of the benchmark."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import read_part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PARTS
from varjepa.models.embedding import embed, row_uncertainty
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("embed", __name__, settings=("uncertainty.aggregate",))

CHUNK = 8192
"""Rows embedded at a time."""

UNCERTAINTY = "uncertainty"


@dataclass(frozen=True)
class Embedded:
    """Embeddings of all rows.

    Attributes:
        folder: `train.npy`, `validation.npy` and `test.npy`, float32 [N, D, d] in the order of the encoded rows, and
            `uncertainty.npy` of the test rows if the encoder has scales.
    """

    folder: Path

    def part(self, name: str) -> np.ndarray:
        """Embeddings of one part, memory-mapped."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    def uncertainty(self) -> np.ndarray | None:
        """Latent uncertainty of the test rows [N]; larger = less sure."""
        path = self.folder / f"{UNCERTAINTY}.npy"
        return np.load(path) if path.is_file() else None


@task(name="embed", task_run_name="embed {config.model.kind}")
def embed_rows(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Embedded:
    """Embeds training, validation and test rows."""
    folder = STEP.folder(config, str(pretrained.weights))
    return reuse(folder, Embedded, lambda: _embed(prepared, pretrained, config, folder))


def _embed(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path) -> Embedded:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    network = pretrained.network(preprocessor, config)
    device = network.device
    for name in PARTS:
        part = read_part(prepared.encoded, preprocessor, name).to(device)
        # Collected on the CPU, so that a GPU holds one chunk at a time.
        means, uncertain = [], []
        for rows in torch.arange(len(part.labels), device=device).split(CHUNK):
            embedding = embed(network, part.table.rows(rows))
            means.append(embedding.mean.cpu())
            if embedding.scale is not None and name == "test":
                uncertain.append(row_uncertainty(embedding.scale, config.uncertainty.aggregate).cpu())
        np.save(folder / f"{name}.npy", torch.cat(means).numpy())
        if uncertain:
            np.save(folder / f"{UNCERTAINTY}.npy", torch.cat(uncertain).numpy())
    return Embedded(folder)
