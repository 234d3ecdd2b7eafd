"""Rows that several steps after the training embed: embedded once per network, and kept for all of them.

| part | rows that are kept | their readers |
| --- | --- | --- |
| train | the sample that compact vectors are fitted on | compact, probe, few labels, reference |
| validation | labelled rows that choose the head, unless they are a sample | probe, calibrate |
| calibration | all, unless they are more than the drift reference has | calibrate, reference |
| test | rows on which the model is measured | probe, few labels, calibrate, reference |

Rows of one reader alone are not kept. Nor are those that a model sees with hidden cells or from random contexts: these
are other inputs. The gate embeds its rows by itself, as it judges the finished files on raw rows.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part, read_part, read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.inference.kept_embeddings import Embedder, KeptEmbeddings, KeptRows, fresh, keep_embeddings
from varjepa.inference.vectors.fitting import fitting_rows
from varjepa.models.embedding import CPU_ROWS
from varjepa.models.network import TableNetwork
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("embed", __name__)

MOST_BYTES = 2**30
"""Largest size of what is kept of a part. The rows beyond it are embedded by each of their readers."""

OF_FREE = 0.25
"""Largest share of the free space that a part may take: keeping saves time, and no step needs it."""


class Sample(NamedTuple):
    """Arguments of `read_sample`."""

    most: int
    seed: int
    learnable: bool = False


@dataclass(frozen=True)
class Kept:
    """Kept embeddings of rows of a part.

    Attributes:
        folder: see `varjepa.inference.kept_embeddings`.
    """

    folder: Path

    @property
    def rows(self) -> KeptRows:
        """The embeddings."""
        return KeptRows(self.folder)


def embedder_of(
    prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, network: TableNetwork, *parts: str
) -> Embedder:
    """Embeds rows of these parts, of which it reads what is kept; keeps it first if no step has done so.

    Args:
        prepared: the encoded rows.
        pretrained: the trained network.
        config: of the job.
        network: the same, on the device of the rows.
        parts: of the split.
    """
    # A GPU takes less time than the disk would, and its last bits depend on the rows that share a batch.
    if network.device.type != "cpu":
        return fresh(network)
    preprocessor = Preprocessor.read(prepared.preprocessor)
    samples = {name: _shared(name, preprocessor, config, network) for name in parts}
    # Two readers draw other samples of these parts, of which hardly a batch is the same.
    apart = {name for name in ("validation", "calibration") if name in samples
             and prepared.parts.get(name, 0) > samples[name].most}  # fmt: skip
    kept = (kept_part(prepared, pretrained, network, name, sample) for name, sample in samples.items()
            if name not in apart)  # fmt: skip
    return KeptEmbeddings(network, tuple(each.rows for each in kept))


def kept_part(
    prepared: Prepared,
    pretrained: Pretrained,
    network: TableNetwork,
    name: str,
    sample: Sample | None = None,
    *,
    scales: bool = True,
) -> Kept:
    """The embeddings of rows of a part, kept by an earlier step or else now.

    Args:
        prepared: the encoded rows.
        pretrained: the trained network.
        network: the same.
        name: of the part.
        sample: of which rows, as far as there is room for them; None for all rows, whatever they take.
        scales: keep the scales, too.
    """
    folder = STEP.folder(None, str(pretrained.weights), name, sample, scales)

    def make() -> Kept:
        preprocessor = Preprocessor.read(prepared.preprocessor)
        if sample is None:
            part = read_part(prepared.encoded, preprocessor, name)
        else:
            part = _with_room(folder, network, read_sample(
                prepared.encoded, preprocessor, name, most=sample.most, seed=sample.seed, learnable=sample.learnable
            ))  # fmt: skip
        keep_embeddings(folder, network, part, scales=scales)
        return Kept(folder)

    # Not shared: a core computes about 40 MB of embeddings a second, about as much as a store sends.
    return reuse(folder, Kept, make, shared=False)


def _shared(name: str, preprocessor: Preprocessor, config: RetrainConfig, network: TableNetwork) -> Sample:
    """The rows of a part that have several readers; see the table above."""
    seed = config.training.seed
    if name == "train":
        return Sample(fitting_rows(preprocessor.sizes.n_features, network.d_hidden), 0)
    if name == "validation":
        return Sample(config.probe.max_rows, seed, learnable=True)
    if name == "calibration":
        return Sample(config.drift.reference_rows, seed)
    return Sample(config.probe.max_test_rows, seed)


def _with_room(folder: Path, network: TableNetwork, part: Part) -> Part:
    """The first rows, as many as there is room for."""
    room = min(MOST_BYTES, int(OF_FREE * shutil.disk_usage(folder).free))
    each = (1 + network.has_scale) * 4 * part.table.observed.shape[1] * network.d_hidden
    most = room // each // CPU_ROWS * CPU_ROWS  # whole batches
    return part if len(part.rows) <= most else part.take(torch.arange(most))
