"""The drift reference of a model: counts of held-out rows, stored with the model. No row is kept."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from varjepa.config.base import Facts
from varjepa.evaluation.accuracy_estimate import AccuracyReference
from varjepa.evaluation.drift.samples import Categories, Numbers


class Counts(Facts):
    """Samples of the reference rows.

    Attributes:
        columns: per feature.
        label: None without one.
        statistics: per statistic of `varjepa.inference.row_statistics`.
        quality: of the head on those rows: accuracy and ece, or rmse.
        cluster_rows: rows in the cluster of a row, on average over all rows outside of training, of which the samples
            may hold fewer; None where that is not known.
        accuracy: estimates the accuracy of rows without labels; None without classes, with few labels, and in models of
            older versions.
    """

    columns: dict[str, Numbers | Categories]
    label: Numbers | Categories | None
    statistics: dict[str, Numbers | Categories]
    quality: dict[str, float]
    cluster_rows: float | None = None
    accuracy: AccuracyReference | None = None


class Directions(NamedTuple):
    """Projection of embeddings: center [F], and principal directions [F, k] of training rows."""

    center: Tensor
    basis: Tensor


@dataclass(frozen=True)
class Profile:
    """The reference: counts, and the directions on which embeddings were projected."""

    counts: Counts
    directions: Directions
