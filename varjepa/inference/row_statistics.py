"""Statistics of single rows under a model, as numbers that can be compared between two sets of rows.

| name | what it is | needs |
| --- | --- | --- |
| elbo | the row's ELBO under the weights of the objective, mean over fixed contexts | Var-T-JEPA |
| kl_sy | KL(q(s_y), p(s_y | s_x, z)): how far the predictor misses the rest of the row | Var-T-JEPA |
| prediction_error | squared error of the predicted latents | T-JEPA |
| surprise | -log p(cell | the other cells), mean over the row's cells, nats | a generator |
| latent_1, ... | the embedding along its principal directions in training | any |
| latent_uncertainty | from the scales of q(s_w | ...) | Var-T-JEPA |
| predicted, probability | the head's prediction and its probability | a label |
| correct, calibration; residual | right or wrong, and right minus probability; label minus prediction | labelled rows |
| pit, covered | PIT of a number under its predictive distribution; inside its interval or outside | labelled rows |

Nothing is sampled, and no row depends on the rows beside it. All but the head's answers are those of rows whose hour,
weekday and month are hidden where these are parts of a clock (`Preprocessor.clocks`): the rows of a day share them, so
that no day would look like the rows before it.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from varjepa.data.encode.features import LABEL
from varjepa.data.read.sources import ROW
from varjepa.data.tensors.table import TableTensors
from varjepa.evaluation.arrays import Floats, Ints
from varjepa.evaluation.drift.dependence import Clustering, alike
from varjepa.evaluation.drift.samples import Categories, Numbers, Sample
from varjepa.evaluation.latents.components import principal_components
from varjepa.inference.drift_reference import Directions
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.table_generator import batches
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.kept_embeddings import Embedder, fresh
from varjepa.inference.model import TrainedModel
from varjepa.models.embedding import embed
from varjepa.models.masks import draw_sizes, same_for_all
from varjepa.nn.random import Randomness
from varjepa.objective.objective import objective_for

CONTEXTS = 4
"""Number of fixed contexts over which the terms of a row are averaged."""

N_DIRECTIONS = 8
"""Number of principal directions of the embedding."""

STREAM = 2**22
"""Stream number of the contexts."""

BATCH = 512
"""Rows at a time: their activations fit into a cache."""

RIGHT_OR_WRONG = ("wrong", "right")
IN_OR_OUT = ("outside", "inside")


class RowValues(NamedTuple):
    """One number per row [N], NaN where there is none; where `names` holds K classes, their numbers, K for others."""

    values: Floats
    names: tuple[str, ...] = ()

    def counted(self, like: Sample | None = None, clusters: Clustering | None = None) -> Sample:
        """The values as a sample, by the knots of `like` or by knots of their own; `clusters` are those of the rows."""
        sample = self._counted(like)
        return sample if clusters is None else sample.clustered(alike(self.values, clusters), clusters.size)

    def _counted(self, like: Sample | None) -> Sample:
        finite = self.values[np.isfinite(self.values)]
        missing = len(self.values) - len(finite)
        if self.names:
            counts = np.bincount(finite.astype(np.int64), minlength=len(self.names) + 1)
            return Categories(
                names=self.names, counts=tuple(counts[:-1].tolist()), other=int(counts[-1]), missing=missing
            )
        return Numbers.of(finite, knots=like.knots if isinstance(like, Numbers) else None, missing=missing)


def principal_directions(model: TrainedModel, table: TableTensors, known: Tensor | None = None) -> Directions:
    """Directions along which the embeddings of some training rows vary most.

    Args:
        model: of any kind.
        table: the rows.
        known: their embeddings [N, D, d]; None embeds them.
    """
    flat = (embed(model.network, table).mean if known is None else known).flatten(1)  # [N, D d]
    components = principal_components(flat, N_DIRECTIONS, seed=model.config.training.seed)
    return Directions(components.center, components.basis)


@torch.inference_mode()
def row_statistics(
    model: TrainedModel, frame: pl.DataFrame, directions: Directions, embedder: Embedder | None = None
) -> dict[str, RowValues]:
    """Everything in the table above that the model has; statistics of labelled rows where the frame has the label.

    Args:
        model: of any kind.
        frame: raw rows, with their numbers where there is an `embedder`.
        directions: from training rows.
        embedder: of the rows; None embeds all of them.

    Raises:
        DataError: a feature column is missing, or holds text where numbers were learned.
    """
    table, outside = model.encode(frame), outside_range(frame, model.preprocessor).to(model.device)
    numbers = np.zeros(frame.height, dtype=np.int64) if embedder is None else frame[ROW].to_numpy()
    label, embedder = _labels(model, frame), embedder or fresh(model.network)
    masks, timeless = _contexts(model), _without_clocks(model, table)
    parts = []
    # At least one batch, so that an empty table still gets its statistics.
    for rows in batches(max(frame.height, 1), BATCH):
        part, own = table.rows(rows), label if label is None else label[rows]
        embedding = embedder(part, numbers[rows])
        answers = _answers(model, HeadRows(embedding.mean.flatten(1), part), own)
        if timeless is not None:
            part = timeless.rows(rows)
            embedding = embed(model.network, part)
        statistics = _terms(model, part, masks) | _surprise(model, part, outside[rows])
        flat = embedding.mean.flatten(1)  # [B, D d]
        projected = ((flat - directions.center.to(flat.device)) @ directions.basis.to(flat.device)).T
        statistics |= {f"latent_{number}": values for number, values in enumerate(projected, start=1)}
        uncertainty = model.latent_uncertainty(embedding)
        statistics |= {} if uncertainty is None else {"latent_uncertainty": uncertainty}
        parts.append(statistics | answers)
    joined = {name: torch.cat([part[name].double().cpu() for part in parts]).numpy() for name in parts[0]}
    return {name: RowValues(values, _names(model, name)) for name, values in joined.items()}


def _without_clocks(model: TrainedModel, table: TableTensors) -> TableTensors | None:
    """The rows without what a clock tells; None where there is no clock."""
    timed = model.preprocessor.timed
    if not timed:
        return None
    hidden = torch.tensor([name in timed for name in model.preprocessor.names], device=table.device)
    return table._replace(observed=table.observed & ~hidden)


def _labels(model: TrainedModel, frame: pl.DataFrame) -> Tensor | None:
    label = model.preprocessor.label
    if label is None or label.name not in frame.columns:
        return None
    encoded = frame.select(label.encode(dict(frame.schema)))
    return torch.from_numpy(encoded[LABEL].fill_null(float("nan")).to_numpy().copy()).to(model.device)


def true_classes(model: TrainedModel, frame: pl.DataFrame) -> Ints:
    """Numbers of the classes of rows whose label the model knows [N]."""
    labels = _labels(model, frame)
    return np.zeros(frame.height, dtype=np.int64) if labels is None else labels.long().cpu().numpy()


def _contexts(model: TrainedModel) -> list[tuple[Tensor, Tensor]]:
    """Positions of contexts and targets, the same for all rows and calls."""
    random, n_features = Randomness.seeded(model.config.training.seed, STREAM), model.preprocessor.sizes.n_features
    contexts = []
    for _ in range(CONTEXTS):
        n_context, n_targets = draw_sizes(n_features, model.config.masking, random)
        order = torch.from_numpy(random.host.permutation(n_features)).to(model.device)
        # Disjoint: targets follow the context in one random order.
        contexts.append((order[:n_context], order[n_context : n_context + n_targets]))
    return contexts


def _terms(model: TrainedModel, table: TableTensors, contexts: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Terms of the objective per row, mean over contexts."""
    objective = objective_for(model.network, model.config.objective)
    per_context = []
    for context, target in contexts:
        masks = same_for_all(table.observed, context, target)
        # Without randomness the network takes means instead of samples.
        per_context.append(objective.per_row(objective.terms(table, masks, model.network(table, masks))))
    return {name: torch.stack([values[name] for values in per_context]).mean(0) for name in per_context[0]}


def _surprise(model: TrainedModel, table: TableTensors, outside: Tensor) -> dict[str, Tensor]:
    if model.generator is None:
        return {}
    total = model.generator.surprise(table, outside).sum(1)
    return {"surprise": total / table.observed.sum(1).clamp(min=1)}


def _answers(model: TrainedModel, rows: HeadRows, label: Tensor | None) -> dict[str, Tensor]:
    """The head's predictions for rows, and their errors where the label is known."""
    outputs = model.answers(rows)
    if outputs is None:
        return {}
    if outputs.shape[1] == 1:
        values = outputs[:, 0]
        return (
            {"predicted": values}
            | ({} if label is None else {"residual": label - values})
            | _intervals(model, rows, values, label)
        )
    probability, predicted = outputs.max(1)
    answers = {"predicted": predicted.double(), "probability": probability}
    if label is not None:
        correct = torch.where(label.isnan(), label, (predicted == label).double())  # NaN where the label is unknown
        answers |= {"correct": correct, "calibration": correct - probability}
    return answers


def _intervals(model: TrainedModel, rows: HeadRows, values: Tensor, label: Tensor | None) -> dict[str, Tensor]:
    """PIT of the label and whether its interval holds it, NaN where it is unknown; where the model has intervals."""
    rule = None if model.intervals is None else model.intervals.rule
    if label is None or model.intervals is None or rule is None:
        return {}
    maps, truth = model.intervals.maps(rows, values.cpu().numpy(), rule.method), label.double().cpu().numpy()
    low, high = rule.interval(maps)
    known = np.isfinite(truth)
    pit = np.where(known, rule.pit(maps, np.where(known, truth, 0.0)), np.nan)
    covered = np.where(known, (low <= truth) & (truth <= high), np.nan)
    return {"pit": torch.from_numpy(pit), "covered": torch.from_numpy(covered)}


def _names(model: TrainedModel, statistic: str) -> tuple[str, ...]:
    """Names of a statistic's classes; empty for numbers."""
    classes = () if model.preprocessor.label is None else model.preprocessor.label.classes
    return {"predicted": classes, "correct": RIGHT_OR_WRONG, "covered": IN_OR_OUT}.get(statistic, ())
