"""Classifier and regressor for notebooks, as scikit-learn has them, whose answers say how sure they are."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from varjepa.config import RetrainConfig
from varjepa.config.data import ColumnSection
from varjepa.data.encode.features import Label
from varjepa.errors import DataError, ModelError
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.answer_columns import ON_REQUEST
from varjepa.inference.fitted_answers import fit_answers
from varjepa.inference.given_tables import at_hand, pandas_column, unmasked, without
from varjepa.inference.heads.head import name_of
from varjepa.inference.model import TrainedModel
from varjepa.inference.reasons import Reasons
from varjepa.inference.table_estimator import Table, TableEstimator, as_config
from varjepa.inference.torch_settings import torch_as_usual
from varjepa.training.device import give_back_memory
from varjepa.visible import shortened

log = logging.getLogger("varjepa")

LABEL_NAME = "label"
"""Name of a label that comes without one."""


class Predictor(TableEstimator):
    """What classifier and regressor have in common."""

    task: ClassVar[Literal["classification", "regression"]]
    head_: str

    def fit(self, X: Table, y: ArrayLike | None = None) -> Self:
        """Trains on rows. The logger `varjepa.fit` tells epochs and the time left at level INFO.

        Args:
            X: table [N, D].
            y: labels [N], missing where they are not known; None if `data.label` of the configuration names their
                column in X.

        Raises:
            ConfigError: the configuration is invalid.
            DataError: too few rows, no column can be a feature, or a label that cannot be learned.
        """
        config, table = as_config(self.config, self.device), at_hand(X)
        labels = None if y is None else _plain_words(self._labels(y))
        if labels is not None:
            config = self._named(config, table, labels)
        elif config.data.label is None:
            raise DataError(
                f"{type(self).__name__} requires y to be passed, but the target y is None.",
                fix="Pass y, or name its column of the table: {'data': {'label': 'NAME'}}.",
            )
        data = config.data.model_copy(update={"task": self.task})
        frame = self._frame(table, reset=True, data=data)
        if labels is not None:
            check_consistent_length(table, labels)
            frame = frame.with_columns(labels.alias(str(data.label)))
        read, config = self._read(frame, config.model_copy(update={"data": data}))
        given = frame[str(data.label)].alias(LABEL_NAME)  # Polars takes the name of a series for a pattern
        self._look_at(given)
        try:
            self.model_, self.history_, self.head_ = fit_answers(read, config)
        finally:
            give_back_memory()
        self._take_over(given, read)
        return self

    def _labels(self, y: ArrayLike) -> pl.Series:
        """Labels as a column [N]."""
        if isinstance(y, pl.Series):
            return y
        if hasattr(y, "iloc") and getattr(y, "ndim", 0) == 1:
            return pandas_column(y)
        values = column_or_1d(np.asarray(unmasked(y)), warn=True)
        if values.dtype.kind != "O":
            return pl.Series(values)
        return pl.Series([None if value is None or value != value else value for value in values])  # noqa: PLR0124 (NaN)

    def _look_at(self, labels: pl.Series) -> None:
        """Checks labels [N] before they are learned from.

        Raises:
            DataError: they cannot be learned.
        """

    def _take_over(self, labels: pl.Series, read: pl.DataFrame) -> None:
        """Keeps what the estimator itself must know of labels [N], given and read, once the model is trained."""

    def _named(self, config: RetrainConfig, table: Table, labels: pl.Series) -> RetrainConfig:
        """The configuration with a name for the labels, which no column of the features has."""
        columns = [str(name) for name in getattr(table, "columns", ())]
        name = config.data.label or labels.name or LABEL_NAME
        if name in columns and config.data.label is None and not _is_column(table, name, labels):
            while name in columns:
                name += "_"
        elif name in columns:
            log.warning('The column "%s" is the label, so it is no feature.', name)
        data = config.data.model_copy(update={"label": name})
        if labels.dtype == pl.String:
            # Labels that are given as words stay words, also None or 2026: they are names of classes.
            values = set(labels.to_list())
            words = tuple(word for word in data.na_values if word and word in values)
            spelled = ColumnSection(format="text", not_gaps=words)
            data = data.model_copy(update={"columns": {**data.columns, name: spelled}})
        return config.model_copy(update={"data": data})

    def answers(self, X: Table, also: Collection[ON_REQUEST] = ()) -> pl.DataFrame:
        """What the model says of rows and how sure it is: the columns of `varjepa score` without the embedding.

        Args:
            X: table [N, D].
            also: `set`, the classes that the row may have, and `probabilities`, of every class.

        Returns:
            One line per row: `prediction`, `uncertainty`; of classes `probability`, of numbers `low` and `high`; where
            there is a certificate, `accept` (see `TrainedModel.predict`).
        """
        check_is_fitted(self)
        with torch_as_usual():
            frame = self._frame(X, reset=False)
            return self.model_.predict(frame, self.batch_size, also).drop("embedding")

    def uncertainty(self, X: Table) -> NDArray[np.float64]:
        """One number per row [N] by the measure that ships; larger = less sure."""
        return self.answers(X)["uncertainty"].to_numpy().astype(np.float64)

    @property
    def certificate_(self) -> Certificate | None:
        """What is promised of the rows that `answers` marks `accept`; None without calibration rows."""
        check_is_fitted(self)
        return self.model_.certificate

    @torch_as_usual()
    def reasons(self, X: Table) -> Reasons:
        """What each column contributes to predictions and uncertainty; see `TrainedModel.reasons`."""
        check_is_fitted(self)
        return self.model_.reasons(self._frame(X, reset=False), self.batch_size)

    @torch_as_usual()
    def anomalies(self, X: Table) -> pl.DataFrame:
        """How unusual rows and their cells are; see `TrainedModel.anomalies`."""
        check_is_fitted(self)
        return self.model_.anomalies(self._frame(X, reset=False), self.batch_size)

    def _outputs(self, X: Table) -> NDArray[np.float64]:
        """Probabilities [N, C] in the model's order of classes, or values [N, 1]."""
        check_is_fitted(self)
        with torch_as_usual():
            return self.model_.outputs(self._frame(X, reset=False), self.batch_size).cpu().numpy()

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Reads a model that `save` or a retrain wrote.

        Raises:
            ModelError: there is no model, a damaged file, another format, or a model of another task.
        """
        loaded = super().load(path, device)
        label = loaded.model_.preprocessor.label
        if label is None or label.task != cls.task:
            found = "no label" if label is None else f"a label for {label.task}"
            raise ModelError(f"The model in {path} has {found}.", expected=f"Expected one for {cls.task}.")
        loaded.head_ = "" if loaded.model_.head is None else name_of(loaded.model_.head)
        return loaded

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _is_column(table: Any, name: str, labels: pl.Series) -> bool:
    """Whether a column of a frame holds the labels themselves."""
    cells = without(table, {str(column) for column in table.columns} - {name})
    return bool(np.array_equal(np.asarray(cells).ravel().astype(str), labels.to_numpy().astype(str)))


class VarTJEPAClassifier(ClassifierMixin, Predictor):
    """Predicts a class, and says how sure it is.

    It learns embeddings without the labels, chooses a head (linear models, boosted trees and others, on the embedding
    or on the columns themselves) by a tenth of the rows, and calibrates it by another tenth. Copies of a row are kept
    in one part; `data.split` says otherwise, for example which column holds customers.

    Args:
        config: a `RetrainConfig`, a mapping or a YAML file with the same keys; None for the defaults. Of `data` only
            `label`, `drop`, `kinds`, `columns` and `split` are used. The rows of the test part train, too.
        device: auto, cpu, or a GPU by name; None means that of `config`.
        batch_size: rows embedded at a time; affects only memory.

    Attributes:
        classes_: classes in order [C].
        class_places_: where the model's own classes, which are words in an order of their own, stand among them.
        model_: the trained model; see `TrainedModel`.
        head_: the head that ships and why, in words; of a loaded model its name.
        history_: metrics per epoch.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> table, label = load_iris(return_X_y=True, as_frame=True)
        >>> small = {"model": {"d_hidden": 8}, "training": {"max_epochs": 1}, "generator": {"n_layers": 0}}
        >>> model = VarTJEPAClassifier(small).fit(table, label)
        >>> model.predict_proba(table).shape, model.answers(table).columns
        ((150, 3), ['uncertainty', 'latent_uncertainty', 'prediction', 'probability', 'accept'])
    """

    task = "classification"
    classes_: NDArray[Any]
    class_places_: NDArray[np.int64]

    def predict(self, X: Table) -> NDArray[Any]:
        """The most probable class of each row [N]."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def predict_proba(self, X: Table) -> NDArray[np.float64]:
        """Calibrated probabilities [N, C], in the order of `classes_`; 0 for a class without training rows."""
        outputs = self._outputs(X)
        probabilities = np.zeros((len(outputs), len(self.classes_)))
        probabilities[:, self.class_places_] = outputs
        return probabilities

    def _look_at(self, labels: pl.Series) -> None:
        known = _known(labels)
        check_classification_targets(known.to_numpy())
        if known.n_unique() < 2:
            raise DataError(
                f"The labels are of {known.n_unique()} class(es).",
                expected="Expected at least 2 classes to tell apart.",
            )

    def _take_over(self, labels: pl.Series, read: pl.DataFrame) -> None:
        label = _label_of(self.model_)
        words = read.lazy().select(label.words(read.schema[label.name])).collect().to_series()
        pairs = pl.DataFrame({"word": words, "value": labels}).drop_nulls().unique("word")
        values = dict(pairs.iter_rows())
        self.classes_ = np.unique(_known(labels).to_numpy())
        self.class_places_ = np.searchsorted(self.classes_, np.array([values[word] for word in label.classes]))

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        loaded = super().load(path, device)
        label = _label_of(loaded.model_)
        classes = pl.Series(label.classes, dtype=pl.String)
        if label.dtype == "Boolean":
            classes = classes.str.to_lowercase().is_in(["true", "1"])
        elif label.dtype.startswith(("Int", "UInt", "Float")):
            classes = classes.cast(pl.Float64)
            classes = classes if label.dtype.startswith("Float") else classes.cast(pl.Int64)
        loaded.classes_ = np.unique(classes.to_numpy())
        loaded.class_places_ = np.searchsorted(loaded.classes_, classes.to_numpy())
        return loaded


class VarTJEPARegressor(RegressorMixin, Predictor):
    """Predicts a number, and says between which bounds it lies.

    It learns embeddings without the labels, chooses a head (linear models, boosted trees and others, on the embedding
    or on the columns themselves) by a tenth of the rows, and calibrates intervals by another tenth. `answers` has the
    bounds. Arguments and attributes are those of `VarTJEPAClassifier`, without classes.

    Examples:
        >>> from sklearn.datasets import load_diabetes
        >>> table, label = load_diabetes(return_X_y=True, as_frame=True)
        >>> small = {"model": {"d_hidden": 8}, "training": {"max_epochs": 1}, "generator": {"n_layers": 0}}
        >>> model = VarTJEPARegressor(small).fit(table, label)
        >>> model.answers(table).columns
        ['uncertainty', 'latent_uncertainty', 'prediction', 'low', 'high', 'accept']
    """

    task = "regression"

    def predict(self, X: Table) -> NDArray[np.float64]:
        """The value of each row [N]."""
        return self._outputs(X)[:, 0]

    def _labels(self, y: ArrayLike) -> pl.Series:
        labels = super()._labels(y)
        try:
            return labels if labels.dtype.is_numeric() else labels.cast(pl.Float64)
        except pl.exceptions.PolarsError:
            words = labels.cast(pl.String, strict=False)
            text = words.filter(words.cast(pl.Float64, strict=False).is_null() & words.is_not_null())
            raise DataError(
                f'Input y holds "{shortened(text[0], 40)}".', expected="Expected numbers, or missing ones.",
                fix="Classes are for VarTJEPAClassifier.",
            ) from None  # fmt: skip

    def _look_at(self, labels: pl.Series) -> None:
        if labels.dtype.is_float() and labels.is_infinite().any():
            raise DataError("Input y contains infinity.", expected="Expected finite numbers, or missing ones.")


def _plain_words(labels: pl.Series) -> pl.Series:
    """Categories as the words that they are."""
    return labels.cast(pl.String) if isinstance(labels.dtype, pl.Categorical | pl.Enum) else labels


def _known(labels: pl.Series) -> pl.Series:
    """The labels that are not missing."""
    known = labels.drop_nulls()
    return known.drop_nans() if known.dtype.is_float() else known


def _label_of(model: TrainedModel) -> Label:
    label = model.preprocessor.label
    if label is None:
        raise ModelError("The model has no label.")
    return label
