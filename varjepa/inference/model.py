"""A trained model as one object: raw rows in, embeddings, uncertainty and predictions out."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from varjepa.config import RetrainConfig
from varjepa.data.cells import untyped
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.row_encoder import RowEncoder
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.spelling.learned import not_as_learned
from varjepa.data.tensors.table import TableTensors
from varjepa.errors import ModelError
from varjepa.evaluation.probe import LinearProbe
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.evaluation.uncertainty.prediction_sets import SetRule
from varjepa.inference.answer_columns import ON_REQUEST, accepted, class_columns, number_columns
from varjepa.inference.description import ModelParts, model_lines
from varjepa.inference.drift_reference import Profile
from varjepa.inference.encoded_frame import EncodedFrame
from varjepa.inference.fitted_uncertainty import FittedUncertainty, weighted_scale
from varjepa.inference.generator.fill import Imputation, Imputer, Sampler, outside_range
from varjepa.inference.generator.table_generator import TableGenerator, batches
from varjepa.inference.heads.head import Head, name_of
from varjepa.inference.heads.inputs import HeadRows
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.soundness import open_trees
from varjepa.inference.hidden_cells import expected, one_below_the_other, without
from varjepa.inference.intervals import FittedIntervals
from varjepa.inference.measures import Measures
from varjepa.inference.ranges import require_numbers
from varjepa.inference.reasons import Outcome, Reasons, column_groups, explained, joined, to_tensor
from varjepa.inference.vectors.compact import CompactBasis
from varjepa.inference.vectors.search import VectorSearch
from varjepa.memory import in_parts
from varjepa.models.embedding import Embedding, embed, row_uncertainty
from varjepa.models.network import TableNetwork
from varjepa.visible import html_table

TOGETHER = 1024
"""Rows that the model looks at in one pass where it explains them."""

ANOMALY_COLUMNS = 3
"""Number of a row's oddest columns that are named."""


@dataclass(frozen=True, repr=False)
class TrainedModel(VectorSearch):
    """Preprocessor and network with the configuration that made them, and the parts fitted on top of them.

    Attributes:
        config: of the job.
        preprocessor: fitted on the training rows.
        network: in evaluation mode, on its device.
        probe: linear probe on flattened embeddings; None without a label.
        fitted: the fitted uncertainty of the head; None without classes.
        generator: of missing cells and new rows; None where the configuration leaves it out.
        profile: drift reference from rows outside of training; None where it was not measured.
        chosen_head: the classifier or regressor that ships; None where that is the probe.
        intervals: of the regressor; None with classes, and in models of older versions.
        sets: rule of the prediction sets; None for numbers, without calibration rows, and in models of older versions.
        compact: basis of the compact vectors; None in models of older versions.
    """

    config: RetrainConfig
    preprocessor: Preprocessor
    network: TableNetwork
    probe: LinearProbe | None
    fitted: FittedUncertainty | None = None
    generator: TableGenerator | None = None
    profile: Profile | None = None
    chosen_head: Head | None = None
    intervals: FittedIntervals | None = None
    sets: SetRule | None = None
    compact: CompactBasis | None = None

    @property
    def head(self) -> Head | None:
        """The classifier or regressor that ships; None without a label."""
        if self.chosen_head is not None or self.probe is None:
            return self.chosen_head
        return LinearHead(self.probe)

    @cached_property
    def _encoder(self) -> RowEncoder:
        return RowEncoder(self.preprocessor)

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.network.device

    def __repr__(self) -> str:
        """A short line: the arrays of all parts would fill screens."""
        head = "" if self.head is None else f", {name_of(self.head)}"
        return f"TrainedModel({self.config.model.kind}, {len(self.preprocessor.order)} columns{head})"

    def _repr_html_(self) -> str:
        """The model in a notebook: what it is, and what it can be asked."""
        measure = None if self.fitted is None else self.fitted.measure
        others = {"impute, sample, anomalies": self.generator, "vectors, similar": self.compact, "drift": self.profile}
        can = tuple(name for name, part in others.items() if part is not None)
        parts = ModelParts(self.head, self.certificate, measure, can)
        return html_table("Trained model", model_lines(self.config, self.preprocessor, parts))

    def encode(self, frame: pl.DataFrame) -> TableTensors:
        """Raw rows as tensors on the network's device; labels and unknown columns are ignored.

        Raises:
            DataError: a feature column is missing, or holds text where numbers were learned.
        """
        try:
            encoded = self._encoder(frame).collect()
        except pl.exceptions.PolarsError as error:
            raise not_as_learned(error, "encoded") from error
        return to_tensors(encoded, self.preprocessor).to(self.device)

    def encoded(self, frame: pl.DataFrame | EncodedFrame, *, keeps: bool = False) -> EncodedFrame:
        """Raw rows with their encoding, for several calls of the methods below on the same rows.

        Args:
            frame: raw rows; rows that are encoded stay as they are.
            keeps: keep their embeddings, too: for rows of which those fit into memory.

        Raises:
            DataError: see `encode`.
        """
        return frame if isinstance(frame, EncodedFrame) else EncodedFrame(frame, self.encode(frame), keeps)

    def embed(self, frame: pl.DataFrame, batch_size: int = 1024) -> Embedding:
        """Embeds raw rows, in their order.

        Raises:
            DataError: see `encode`.
        """
        return self._embed(self.encode(frame), batch_size)

    def _embed(self, table: TableTensors, batch_size: int | None = None) -> Embedding:
        embedding = embed(self.network, table, batch_size)
        require_numbers(embedding.mean, "embeddings")
        if embedding.scale is not None:
            require_numbers(embedding.scale, "scales")
        return embedding

    def latent_uncertainty(self, embedding: Embedding) -> Tensor | None:
        """Uncertainty [N] from the scales of q(s_w | ...) alone, larger = less sure; None for kinds without scales.

        With a fitted error probe, the scales are weighted by it; otherwise aggregated by `uncertainty.aggregate`.
        """
        if embedding.scale is None:
            return None
        if self.fitted is not None and self.fitted.error is not None:
            return weighted_scale(self.fitted.error, embedding.scale)
        return row_uncertainty(embedding.scale, self.config.uncertainty.aggregate)

    @property
    def certificate(self) -> Certificate | None:
        """The promise for accepted rows; None where there is none."""
        calibrated = self.fitted if self.intervals is None else self.intervals
        return None if calibrated is None else calibrated.certificate

    def require_trees(self) -> None:
        """Reads all trees of the heads and of the intervals, which otherwise happens when they are first needed.

        Raises:
            ModelError: some are not sound.
        """
        fitted = self.fitted
        second = None if fitted is None else fitted.second
        for head in (self.chosen_head, second, *(() if fitted is None else fitted.resampled)):
            open_trees(head)
        if self.intervals is not None:
            _ = self.intervals.boosters

    def measures(self) -> Measures | None:
        """The uncertainty measures of the head; None without classes."""
        if self.probe is None or self.head is None or self.fitted is None:
            return None
        section, seed = self.config.uncertainty, self.config.training.seed
        return Measures(self.network, self.probe, self.head, self.fitted, section, seed)

    def answers(self, rows: HeadRows) -> Tensor | None:
        """Calibrated probabilities of the head float64 [N, C], or its values [N, 1]; None without a label."""
        if self.head is None:
            return None
        measures = self.measures()
        if measures is not None:
            return measures.probabilities(rows)
        outputs = self.head.outputs(rows)
        return outputs.softmax(1) if outputs.shape[1] > 1 else outputs

    def outputs(self, frame: pl.DataFrame | EncodedFrame, batch_size: int = 1024) -> Tensor:
        """Calibrated probabilities of raw rows float64 [N, C], or values [N, 1]: `predict` without all the rest.

        Raises:
            DataError: see `encode`.
            ModelError: the model has no head.
        """
        encoded = self.encoded(frame)

        def answered(rows: slice) -> Tensor:
            table = encoded.table.rows(rows)
            found = self.answers(HeadRows(encoded.embedding(rows, self._embed).mean.flatten(1), table))
            if found is None:
                raise ModelError("The model has no label, so it predicts nothing.")
            return found

        return torch.cat(list(in_parts(answered, encoded.height, batch_size)))

    def predict(
        self, frame: pl.DataFrame | EncodedFrame, batch_size: int = 1024, also: Collection[ON_REQUEST] = ()
    ) -> pl.DataFrame:
        """Embeds raw rows, and adds the head's predictions and their uncertainty.

        Args:
            frame: raw rows, or the same `encoded`.
            batch_size: rows at a time; affects only memory.
            also: further columns of classes to add.

        Returns:
            One line per row: `embedding` (array of D * d floats); `uncertainty`, by the measure that ships (of numbers:
            half the width of the interval, or the predicted size of the error; without a label the latent one), and
            `latent_uncertainty`, where the model has them; with a label `prediction` (class or value) and, for classes,
            `probability` (calibrated, of the predicted class), for numbers `low` and `high`, the ends of an interval;
            with a certificate, `accept`. If asked for, `set` (the classes that the row may have, the most probable one
            first; none where the model has no sets) and `probability.CLASS` of every class.

        Raises:
            DataError: see `encode`.
        """
        encoded = self.encoded(frame)

        def predicted(rows: slice) -> pl.DataFrame:
            return self._predict(encoded.table.rows(rows), encoded.embedding(rows, self._embed), also)

        # At least one batch, so that an empty table still gets its columns.
        return pl.concat(in_parts(predicted, encoded.height, batch_size))

    def _predict(self, table: TableTensors, embedding: Embedding, also: Collection[ON_REQUEST]) -> pl.DataFrame:
        rows = HeadRows(embedding.mean.flatten(1), table)
        columns = {"embedding": pl.Series(rows.flat.cpu().numpy(), dtype=pl.Array(pl.Float32, rows.flat.shape[1]))}
        latent, measures, answers = self.latent_uncertainty(embedding), self.measures(), self.answers(rows)
        if measures is not None:
            name = measures.fitted.measure
            uncertainty = measures(table, embedding, [name], answers)[name]
            columns["uncertainty"] = pl.Series(uncertainty.cpu().numpy())
        elif latent is not None:
            columns["uncertainty"] = pl.Series(latent.double().cpu().numpy())
        if latent is not None:
            columns["latent_uncertainty"] = pl.Series(latent.double().cpu().numpy())
        if answers is not None and self.intervals is not None:
            found = number_columns(self.intervals, rows, answers[:, 0].cpu().numpy())
            # After the embedding, as for classes.
            columns = {"embedding": columns.pop("embedding"), "uncertainty": found.pop("uncertainty")} | {
                name: values for name, values in columns.items() if name != "uncertainty"
            }
            return pl.DataFrame(columns | {"prediction": pl.Series(answers[:, 0].cpu().numpy())} | found)
        return pl.DataFrame(columns | self._outputs(answers, columns.get("uncertainty"), also))

    def _outputs(
        self, answers: Tensor | None, uncertainty: pl.Series | None, also: Collection[ON_REQUEST]
    ) -> dict[str, pl.Series]:
        """Columns from what the head says, [N, C] or [N, 1]."""
        label = self.preprocessor.label
        if answers is None or label is None:
            return {}
        if not label.classes:
            return {"prediction": pl.Series(answers[:, 0].cpu().numpy())}
        probability, number = answers.cpu().max(1)  # of the predicted class, and its number
        names = pl.Series(label.classes, dtype=pl.String)
        columns = {"prediction": names.gather(number.numpy()), "probability": pl.Series(probability.numpy())}
        certificate = None if self.fitted is None else self.fitted.certificate
        if certificate is not None and uncertainty is not None:
            columns["accept"] = accepted(certificate, uncertainty)
        return columns | class_columns(self.sets, answers.cpu().numpy(), label.classes, also)

    def reasons(self, frame: pl.DataFrame | EncodedFrame, batch_size: int = 1024) -> Reasons:
        """Contributions of columns to the prediction and to the uncertainty of rows; see `varjepa.inference.reasons`.

        Args:
            frame: raw rows, or the same `encoded`. The model looks at each of them 6 (D - 1) + 2 times, with D columns,
                but at most 140 times.
            batch_size: rows at a time; affects only memory.

        Raises:
            DataError: see `encode`.
        """
        encoded, groups = self.encoded(frame), column_groups(self.preprocessor)
        pieces = [
            explained(self._outcomes, encoded.table.rows(rows), groups)
            for rows in batches(max(encoded.height, 1), batch_size)
        ]
        return joined(pieces)

    def _outcomes(self, table: TableTensors, hidden: Sequence[Collection[int]]) -> Iterator[Outcome]:
        """What the head says of rows without some features, and how uncertain it is, for every choice of features."""
        together = max(1, TOGETHER // max(table.n_rows, 1))
        for start in range(0, len(hidden), together):
            some = hidden[start : start + together]
            yield from self._outcome(table, some).split(len(some))

    @torch.inference_mode()
    def _outcome(self, table: TableTensors, hidden: Sequence[Collection[int]]) -> Outcome:
        """The outcomes of several choices one below the other: few rows would leave most of a pass to Python."""
        embedding = self._embed(one_below_the_other([without(table, *each) for each in hidden]))
        each_rows = [slice(n * table.n_rows, (n + 1) * table.n_rows) for n in range(len(hidden))]
        scale = embedding.scale
        parts = (Embedding(embedding.mean[rows], None if scale is None else scale[rows]) for rows in each_rows)
        seen = one_below_the_other(
            [expected(self.network, table, part, each) for part, each in zip(parts, hidden, strict=True)]
        )
        rows, measures = HeadRows(embedding.mean.flatten(1), seen), self.measures()
        answers = self.answers(rows)
        if measures is not None:
            name = measures.fitted.measure
            return Outcome(answers, measures(seen, embedding, [name], answers)[name])
        if answers is not None and self.intervals is not None:
            found = number_columns(self.intervals, rows, answers[:, 0].cpu().numpy())
            return Outcome(answers, to_tensor(found["uncertainty"]))
        return Outcome(answers, self.latent_uncertainty(embedding))

    def imputer(self, *, draws: int = 0, level: float = 0.9, seed: int = 0) -> Imputer:
        """An imputer for tables that come in parts; see `Imputer`.

        Raises:
            ModelError: the model has no generator.
        """
        return Imputer(self._generator(), draws=draws, level=level, seed=seed)

    def impute(
        self, frame: pl.DataFrame, *, draws: int = 0, level: float = 0.9, seed: int = 0, batch_size: int = 1024
    ) -> Imputation:
        """Fills the gaps of a table; see `Imputation`.

        Args:
            frame: raw rows.
            draws: number of joint draws of all gaps.
            level: share of intervals that hold the truth, in (0, 1).
            seed: of the draws.
            batch_size: rows at a time; affects only memory.

        Raises:
            DataError: see `encode`.
            ModelError: the model has no generator.
        """
        imputer, frame = self.imputer(draws=draws, level=level, seed=seed), untyped(frame, self.preprocessor.columns)
        return imputer.impute(frame, self.encode(frame), batch_size)

    def sampler(self, *, seed: int = 0, gaps: bool = True) -> Sampler:
        """A sampler of new rows from the learned distribution; see `Sampler`.

        Raises:
            ModelError: the model has no generator, or reads nothing but text and near-unique columns.
        """
        if not self.preprocessor.drawn:
            raise ModelError(
                "The model reads nothing but text and columns whose values belong to single rows, so there are no "
                "columns to draw."
            )
        return Sampler(self._generator(), seed=seed, gaps=gaps)

    def anomalies(self, frame: pl.DataFrame | EncodedFrame, batch_size: int = 1024) -> pl.DataFrame:
        """Anomaly scores of rows, and their most unusual columns.

        Args:
            frame: raw rows, or the same `encoded`.
            batch_size: rows at a time; affects only memory.

        Returns:
            `anomaly`, `odd_columns` (list, the oddest first) and one `oddity.FEATURE` per feature, nats. The oddity of
            a cell is minus the log of its p-value: the share of reference cells of the feature that are at least as
            surprising given the rest of their row. Of several features that are made from a column the oddest counts
            in `odd_columns`, corrected for their number. The anomaly of a row is minus the log of the p-value of its
            oddest cell among the oddest cells of reference rows: at most a share e^-a of normal rows reach an anomaly
            of a.
            See `TableGenerator.row_oddity` for versions of before.

        Raises:
            DataError: see `encode`.
            ModelError: the model has no generator.
        """
        generator, names = self._generator(), self.preprocessor.names
        parts, encoded = [], self.encoded(frame)
        outside = outside_range(encoded.frame, self.preprocessor).to(self.device)
        for rows in batches(max(encoded.height, 1), batch_size):
            part = encoded.table.rows(rows)
            surprise = generator.surprise(part, outside[rows])
            oddity, anomaly = generator.oddity(surprise).numpy(), generator.row_oddity(surprise, part.observed).numpy()
            odd = _odd_columns(oddity, [self.preprocessor.sources.get(name, name) for name in names])
            each = {f"oddity.{name}": pl.Series(oddity[:, j]) for j, name in enumerate(names)}
            parts.append(pl.DataFrame({"anomaly": pl.Series(anomaly), "odd_columns": odd} | each))
        return pl.concat(parts)

    def _generator(self) -> TableGenerator:
        if self.generator is None:
            raise ModelError("The model has no generator.", fix="Train it with generator.n_layers above 0.")
        return self.generator


def _odd_columns(oddity: NDArray[np.floating], columns: Sequence[str]) -> pl.Series:
    """The oddest columns of every row.

    Args:
        oddity: of every feature [B, D], minus the log of a p-value.
        columns: the column behind each feature [D].
    """
    names = list(dict.fromkeys(columns))
    behind = [[j for j, column in enumerate(columns) if column == name] for name in names]
    # Bonferroni's correction: the smallest of k p-values, times k.
    by_column = np.stack([oddity[:, features].max(axis=1) - np.log(len(features)) for features in behind], axis=1)
    # Stable: ties keep the table's order, so the same rows name the same columns everywhere.
    top = np.argsort(-by_column, axis=1, kind="stable")[:, :ANOMALY_COLUMNS]
    return pl.Series("odd_columns", np.array(names, dtype=object)[top].tolist(), dtype=pl.List(pl.String))
