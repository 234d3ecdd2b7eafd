"""Embeds the rows of a trained encoder once, for every predictor of the benchmark."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PARTS
from varjepa.inference.kept_embeddings import CHUNK, KeptRows
from varjepa.models.embedding import row_uncertainty
from varjepa.tasks.retrain.embeddings import kept_part
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.orchestrated import task


@dataclass(frozen=True)
class Embedded:
    """Embeddings of all rows, and scales of the test rows if the encoder has them.

    Attributes:
        folders: of training, validation and test rows, in the order of the encoded rows.
        aggregate: how the uncertainty of a row comes from its scales.
    """

    folders: dict[str, Path]
    aggregate: str

    @property
    def digested(self) -> list[str]:
        """What stands for table, encoder and settings in the digest of a step that reads the embeddings."""
        return [*map(str, self.folders.values()), self.aggregate]

    def part(self, name: str) -> NDArray[np.float32]:
        """Embeddings of one part [N, D, d], memory-mapped."""
        return KeptRows(self.folders[name]).means()

    def uncertainty(self) -> NDArray[np.float32] | None:
        """Latent uncertainty of the test rows [N]; larger = less sure."""
        scales = KeptRows(self.folders["test"]).scales()
        if scales is None:
            return None
        pieces = (torch.from_numpy(np.array(scales[start : start + CHUNK])) for start in range(0, len(scales), CHUNK))
        return torch.cat([row_uncertainty(piece, self.aggregate) for piece in pieces]).numpy()


@task(name="embed", task_run_name="embed {config.model.kind}")
def embed_rows(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Embedded:
    """Embeds training, validation and test rows."""
    network = pretrained.network(Preprocessor.read(prepared.preprocessor), config)
    folders = {name: kept_part(prepared, pretrained, network, name, scales=name == "test").folder for name in PARTS}
    return Embedded(folders, config.uncertainty.aggregate)
