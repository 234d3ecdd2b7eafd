"""One cell of a study of few labels: all methods on one table with one number of labelled rows, all draws of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from varjepa.data.encode.encoded import Part, read_part
from varjepa.data.encode.features import Label
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.arrays import Floats
from varjepa.inference.few_labels import label_goodness
from varjepa.inference.heads.inputs import Components, HeadRows
from varjepa.inference.heads.labelled import HeadData
from varjepa.tasks.orchestration.runners import one_thread_each
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import reuse, step_folder
from varjepa.tasks.studies.embed_rows import Embedded
from varjepa.tasks.studies.labelled import labelled_counts

SMALLEST = 2
"""Labelled rows of a part without which nothing can be fitted or measured."""

CLUSTERS = "clusters"
"""Array of a cell's file beside those of its methods: the cluster of each test row, where rows come in clusters."""


@dataclass(frozen=True)
class LabelPlan:
    """Input of a cell.

    Attributes:
        dataset: name of the table.
        labels: labelled training rows.
        prepared: encoded rows.
        embedded: their embeddings, from an encoder that has seen no label.
    """

    dataset: str
    labels: int
    prepared: Prepared
    embedded: Embedded


@dataclass(frozen=True)
class LabelCell:
    """A finished cell.

    Attributes:
        dataset: name of the table.
        labels: labelled training rows.
        goodness: npz file, method -> goodness per draw and labelled test row [R, N].
        seconds: duration of fitting; a reused cell keeps it.
    """

    dataset: str
    labels: int
    goodness: Path
    seconds: float

    def values(self) -> dict[str, Floats]:
        """Method -> goodness [R, N]."""
        with np.load(self.goodness) as arrays:
            return {name: arrays[name] for name in arrays.files if name != CLUSTERS}

    def clusters(self) -> np.ndarray | None:
        """The cluster of each test row; None where every row is independent."""
        with np.load(self.goodness) as arrays:
            return arrays[CLUSTERS] if CLUSTERS in arrays.files else None


def label_counts(prepared: Prepared, asked: Sequence[int | str]) -> list[int]:
    """Numbers of labelled rows to draw, without repetition: those that the training rows have, `all` as a number.

    Raises:
        DataError: fewer than two training or test rows have a label.
    """
    known = labelled_counts(prepared, ("train", "test"), SMALLEST)["train"]
    return sorted({known if count == "all" else min(int(count), known) for count in asked})


@task(name="label cell", task_run_name="{plan.dataset} {plan.labels} labels")
def run_label_cell(plan: LabelPlan, seeds: Sequence[int]) -> LabelCell:
    """Fits every method once per draw of labelled rows, and measures it on all labelled test rows."""
    folder = step_folder("label-cell", plan.labels, plan.embedded.digested, list(seeds), code=__name__)
    # Cells run in parallel: more threads per cell would only compete.
    with one_thread_each():
        cell = reuse(folder, LabelCell, lambda: _run(plan, seeds, folder))
    log.info("%s, %d labels: %d draws in %.0f s", plan.dataset, plan.labels, len(seeds), cell.seconds)
    return cell


def _run(plan: LabelPlan, seeds: Sequence[int], folder: Path) -> LabelCell:
    started = time.perf_counter()
    preprocessor = Preprocessor.read(plan.prepared.preprocessor)
    flat = {name: _flat(plan.embedded, name) for name in ("train", "test")}
    parts = {name: read_part(plan.prepared.encoded, preprocessor, name) for name in flat}
    # Components describe the embedding of all training rows, with and without a label.
    components = Components.fit(flat["train"], seeds[0])
    train = _taken(parts["train"], flat["train"], _learnable(parts["train"], preprocessor.label))
    test = _taken(parts["test"], flat["test"], torch.isfinite(parts["test"].labels).nonzero().squeeze(1))
    goodness = label_goodness(train, test, preprocessor, components, count=plan.labels, seeds=seeds)
    clusters = {} if test.clusters is None else {CLUSTERS: test.clusters}
    np.savez_compressed(folder / "goodness.npz", allow_pickle=False, **goodness, **clusters)
    return LabelCell(plan.dataset, plan.labels, folder / "goodness.npz", time.perf_counter() - started)


def _flat(embedded: Embedded, name: str) -> torch.Tensor:
    # Copied: torch does not support arrays that cannot be written, such as this memory map.
    return torch.from_numpy(np.array(embedded.part(name))).flatten(1)


def _learnable(part: Part, label: Label | None) -> torch.Tensor:
    """Positions of the rows whose label training can learn."""
    known = torch.isfinite(part.labels)
    if label is not None and label.classes:
        known &= part.labels < len(label.classes)
    return known.nonzero().squeeze(1)


def _taken(part: Part, flat: torch.Tensor, index: torch.Tensor) -> HeadData:
    rows = part.take(index)
    return HeadData(HeadRows(flat[index], rows.table), rows.labels, rows.clusters)
