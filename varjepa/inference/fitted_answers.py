"""Trains a model with a head in one process: splits a table, trains, chooses the head, calibrates. For notebooks."""

from functools import partial
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.config import RetrainConfig, SplitSection
from varjepa.data.encode.encoded import Part, as_part, sampled
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.fit.preprocessor_fit import fit, inspect_columns
from varjepa.data.fit.streamed_rows import StreamedRows
from varjepa.data.read.sources import ROW
from varjepa.data.read.splits import CLUSTER, PART, PARTS, assign_parts, hashed_marks, learned_from, split_hashes
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.epoch_evaluator import evaluation_rows, evaluator_for
from varjepa.inference.calibration import calibrate_model
from varjepa.inference.fit_progress import epochs_logged, steps_logged
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.fitting import fitted_generator
from varjepa.inference.generator.table_generator import TableGenerator
from varjepa.inference.heads.head import name_of
from varjepa.inference.kept_embeddings import fresh
from varjepa.inference.model import TrainedModel
from varjepa.inference.number_calibration import calibrate_numbers
from varjepa.inference.probing import fit_probes
from varjepa.inference.torch_settings import torch_as_usual
from varjepa.inference.vectors.fitting import fit_compact
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.training.device import resolve_device
from varjepa.training.loop import Trainer

NO_TEST = 1e-6
"""Share of the test part: a split must leave one, and whoever calls a library has test rows of their own."""

FEWEST_OF_EXPECTED = 0.5
"""Share of its expected rows that a part must have to be drawn by hash where nobody chose how to split."""

REFERENCE_ROWS = 5000
"""Largest number of rows on which the generator's intervals and anomaly scores are measured."""


class Answering(NamedTuple):
    """A trained model with a head.

    Attributes:
        model: it; without a drift reference, which needs test rows.
        history: metrics per epoch.
        head: the head that ships and why, in words.
    """

    model: TrainedModel
    history: list[dict[str, float]]
    head: str


@torch_as_usual(gradients=True)
def fit_answers(frame: pl.DataFrame, config: RetrainConfig) -> Answering:
    """Trains on training rows, chooses on validation rows, calibrates on calibration rows.

    Args:
        frame: all rows, read (see `varjepa.data.spelling.read.spelled`), with their label.
        config: with a label and a task.

    Raises:
        DataError: too few rows, nothing to learn from, or a label that cannot be learned.
    """
    verdicts = inspect_columns(StreamedRows(frame.lazy()), config.data)
    marked, split = _marked(frame, verdicts.hashed(without_test(config.data.split)), verdicts.contents)
    config = config.model_copy(update={"data": config.data.model_copy(update={"split": split})})
    preprocessor = fit(learned_from(marked.lazy(), split.seen), config.data, config.preprocess, verdicts.kinds)
    config = config.sized(frame.height, preprocessor.sizes.n_features)
    device = resolve_device(config.training.device)
    parts = _parts(marked, preprocessor, device)
    network, history = _network(parts, preprocessor, config)
    generator = _generator(parts, marked, network=network, preprocessor=preprocessor, config=config)
    train, validation = (_learnable(parts[name], preprocessor, config) for name in ("train", "validation"))
    probes = fit_probes(fresh(network), preprocessor, config, train=train, validation=validation)
    model = TrainedModel(
        config, preprocessor, network, probes.linear, probes.fitted, generator, chosen_head=probes.chosen.head,
        intervals=probes.intervals, compact=fit_compact(network, parts["train"].table, parts["validation"].table),
    )  # fmt: skip
    return Answering(_calibrated(model, parts), history, f"{name_of(probes.chosen.head)}: {probes.chosen.reason}")


def without_test(split: SplitSection) -> SplitSection:
    """The split with the rows of its test part in training, or of a split by time in calibration, as they are newer.

    Examples:
        >>> without_test(SplitSection()).train, without_test(SplitSection(by="time", column="day")).calibration
        (0.799999, 0.299999)
    """
    if split.by == "column":
        return split
    key = "calibration" if split.by == "time" else "train"
    test = 1 - split.train - split.validation - split.calibration - NO_TEST
    return split.model_copy(update={key: round(getattr(split, key) + test, 9)})


def _marked(frame: pl.DataFrame, split: SplitSection, contents: tuple[str, ...]) -> tuple[pl.DataFrame, SplitSection]:
    """The rows with `ROW`, `PART` and, by hash, `CLUSTER`; and the split.

    Where nobody chose one, it is by hash if that is even. Copies of a row are in the same part then, so that no part
    knows rows of another.
    """
    marks = None
    if split.by == "hash":
        marks = _by_hash(frame, split)
    elif "by" not in split.model_fields_set and contents:
        by_hash = split.model_copy(update={"by": "hash", "columns": contents})
        marks = _by_hash(frame, by_hash)
        marks, split = (marks, by_hash) if _is_even(marks, split) else (None, split)
    if marks is None:
        parts = assign_parts(frame.lazy(), split, needed=PARTS[:2])
        # The test part is a row by rounding, or the user's own (by: column), who has set it aside.
        joined = parts if split.by == "column" else parts.replace("test", "calibration")
        marks = joined.to_frame()
    return pl.concat([frame.with_row_index(ROW).cast({ROW: pl.Int64}), marks], how="horizontal"), split


def _by_hash(frame: pl.DataFrame, split: SplitSection) -> pl.DataFrame:
    return hashed_marks(np.concatenate(list(split_hashes(frame.lazy(), split))), split)


def _is_even(marks: pl.DataFrame, split: SplitSection) -> bool:
    """Whether validation and calibration have about as many rows as they should: few contents, or few rows, may not."""
    counts = dict(marks[PART].value_counts().iter_rows())
    expected = {"validation": split.validation, "calibration": split.calibration}
    return all(
        counts.get(part, 0) >= max(1, FEWEST_OF_EXPECTED * share * marks.height) for part, share in expected.items()
    )


def _parts(marked: pl.DataFrame, preprocessor: Preprocessor, device: torch.device) -> dict[str, Part]:
    """The encoded rows of every part, on the device."""
    marks = [name for name in (ROW, PART, CLUSTER) if name in marked.columns]
    encoded = preprocessor.encode(marked.lazy(), keep=marks, with_label=True).collect()
    return {name: as_part(encoded.filter(pl.col(PART) == name), preprocessor).to(device) for name in PARTS}


def _network(
    parts: dict[str, Part], preprocessor: Preprocessor, config: RetrainConfig
) -> tuple[TableNetwork, list[dict[str, float]]]:
    """The trained network, and metrics per epoch."""
    training, network = config.training, new_network(preprocessor.sizes, config).to(parts["train"].labels.device)
    most = evaluation_rows(training, preprocessor.sizes.n_features)

    def sample(part: str, *, learnable: bool) -> Part:
        rows = _learnable(parts[part], preprocessor, config) if learnable else parts[part]
        return rows.take(_picks(len(rows.labels), most, config, rows.labels.device))

    seen = PARTS if config.data.split.seen == "all" else PARTS[:1]
    trainer = Trainer(
        network=network, tables=(_joined([parts[name].table for name in seen]), parts["validation"].table),
        objective=config.objective, masking=config.masking, training=training,
        evaluate=evaluator_for(sample, preprocessor.label, network, config),
    )  # fmt: skip
    return network, trainer.fit(epochs_logged(training.max_epochs), lambda *_: None).history


def _joined(tables: list[TableTensors]) -> TableTensors:
    return TableTensors(*map(torch.cat, zip(*tables, strict=True)))


def _learnable(part: Part, preprocessor: Preprocessor, config: RetrainConfig) -> Part:
    """Rows whose label can be learned, at most `probe.max_rows`."""
    classes = () if preprocessor.label is None else preprocessor.label.classes
    known = torch.isfinite(part.labels) & (part.labels < (len(classes) or torch.inf))
    rows = part.take(known.nonzero().squeeze(1))
    return rows.take(_picks(len(rows.labels), config.probe.max_rows, config, rows.labels.device))


def _picks(rows: int, most: int, config: RetrainConfig, device: torch.device) -> Tensor:
    return torch.from_numpy(sampled(rows, most, config.training.seed)).to(device)


def _generator(
    parts: dict[str, Part],
    marked: pl.DataFrame,
    *,
    network: TableNetwork,
    preprocessor: Preprocessor,
    config: RetrainConfig,
) -> TableGenerator | None:
    """The trained generator; None where the configuration leaves it out."""
    if not config.generator.n_layers:
        return None
    beyond = outside_range(marked, preprocessor)

    def reference(part: str) -> tuple[TableTensors, Tensor]:
        rows = parts[part].take(_picks(len(parts[part].labels), REFERENCE_ROWS, config, network.device))
        return rows.table, beyond[torch.from_numpy(rows.rows)].to(network.device)

    other = reference("validation")
    held = reference("calibration") if len(parts["calibration"].labels) else other
    tables = parts["train"].table, parts["validation"].table
    told = steps_logged(config.generator, tables[0].n_rows)
    return fitted_generator(network, preprocessor, config, tables=tables, held=(held, other), on_progress=told)


def _calibrated(model: TrainedModel, parts: dict[str, Part]) -> TrainedModel:
    """The model with its measure of uncertainty, its certificate, and its sets or intervals."""
    most = partial(_at_most, config=model.config)
    validation, calibration = most(parts["validation"]), most(parts["calibration"])
    # Nothing is measured: the caller has the test rows.
    nothing = validation.take(torch.zeros(0, dtype=torch.long, device=validation.labels.device))
    calibrate = calibrate_model if model.intervals is None else calibrate_numbers
    found = calibrate(model, validation=validation, calibration=calibration, test=nothing)
    return found.model


def _at_most(part: Part, config: RetrainConfig) -> Part:
    return part.take(_picks(len(part.labels), config.probe.max_test_rows, config, part.labels.device))
