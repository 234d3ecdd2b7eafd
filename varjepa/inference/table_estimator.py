"""What all estimators for notebooks have in common: tables in any form in, answers of the trained model out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from varjepa.config import DataSection, RetrainConfig, load_config, parse_config
from varjepa.data.read.named_columns import named_in_data, require_named
from varjepa.data.read.splits import FEWEST_ROWS
from varjepa.data.spelling.read import spelled
from varjepa.errors import ConfigError, DataError
from varjepa.inference.generator.fill import Imputation
from varjepa.inference.given_tables import array_column, at_hand, from_pandas, without
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model, save_model
from varjepa.inference.torch_settings import torch_as_usual
from varjepa.inference.vectors.compact import USUAL
from varjepa.inference.vectors.neighbours import NEAR
from varjepa.models.embedding import Embedding

Table = Any
"""Polars or pandas frame, or an array [N, D] of numbers or objects."""


class TableEstimator(BaseEstimator):
    """Base of `VarTJEPA`, `VarTJEPAClassifier` and `VarTJEPARegressor`.

    Attributes:
        model_: the trained model.
        history_: metrics per epoch; empty for a loaded model.
        n_features_in_: number of columns given to `fit`, without the label and dropped ones, which new rows may lack.
        feature_names_in_: their names, if they have names.
    """

    model_: TrainedModel
    history_: list[dict[str, float]]

    def __init__(
        self,
        config: RetrainConfig | Mapping[str, Any] | str | Path | None = None,
        *,
        device: str | None = None,
        batch_size: int = 1024,
    ) -> None:
        self.config = config
        self.device = device
        self.batch_size = batch_size

    @torch_as_usual()
    def embed(self, X: Table) -> Embedding:
        """Means and scales of the latents of rows, [N, D, d] each."""
        check_is_fitted(self)
        return self.model_.embed(self._frame(X, reset=False), self.batch_size)

    @torch_as_usual()
    def vectors(self, X: Table, size: int = USUAL) -> NDArray[np.float32]:
        """Compact vectors of rows [N, size], for search and for vector databases; see `TrainedModel.vectors`.

        Args:
            X: table [N, D].
            size: numbers of a vector, 1 to 256.

        Raises:
            ConfigError: `size` is out of range.
            ModelError: the loaded model was made before there were compact vectors.
        """
        check_is_fitted(self)
        return self.model_.vectors(self._frame(X, reset=False), size, self.batch_size)

    @torch_as_usual()
    def similar(
        self, X: Table, query: Table, k: int = 10, *, size: int = USUAL, leave_same: bool = False
    ) -> pl.DataFrame:
        """The rows of X that are nearest to each row of `query`; see `TrainedModel.similar`."""
        check_is_fitted(self)
        table, rows = (self._frame(part, reset=False) for part in (X, query))
        return self.model_.similar(table, rows, k, size=size, leave_same=leave_same)

    @torch_as_usual()
    def near_duplicates(self, X: Table, within: float = NEAR, *, size: int = USUAL) -> pl.DataFrame:
        """Pairs of rows that hardly differ; see `TrainedModel.near_duplicates`."""
        check_is_fitted(self)
        return self.model_.near_duplicates(self._frame(X, reset=False), within, size=size)

    @torch_as_usual()
    def outliers(self, X: Table, top: int = 100, *, k: int = 10, size: int = USUAL) -> pl.DataFrame:
        """The rows that are farthest from their neighbours; see `TrainedModel.outliers`."""
        check_is_fitted(self)
        return self.model_.outliers(self._frame(X, reset=False), top, k=k, size=size)

    @torch_as_usual()
    def impute(self, X: Table, *, draws: int = 0, level: float = 0.9, seed: int = 0) -> Imputation:
        """Fills missing cells. Returns the filled table, bounds per imputed cell and, if wanted, joint draws.

        Args:
            X: table [N, D].
            draws: number of joint draws of all missing cells.
            level: coverage of the intervals, in (0, 1).
            seed: of the draws.

        Raises:
            ModelError: the model has no generator.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        return self.model_.impute(frame, draws=draws, level=level, seed=seed, batch_size=self.batch_size)

    @torch_as_usual()
    def sample(self, rows: int, *, seed: int = 0, gaps: bool = True) -> pl.DataFrame:
        """New rows from the learned distribution, with the feature columns of the table.

        Text and columns whose values belong to single rows are left out: a sample would hold values of real rows.

        Args:
            rows: number of rows.
            seed: of the draws.
            gaps: leave cells missing as in rows of the table.

        Raises:
            ModelError: the model has no generator.
        """
        check_is_fitted(self)
        return self.model_.sampler(seed=seed, gaps=gaps).sample(rows, self.batch_size)

    def save(self, path: str | Path) -> None:
        """Writes the model to a folder as JSON and safetensors. Nothing is pickled."""
        check_is_fitted(self)
        save_model(Path(path), self.model_)

    @classmethod
    @torch_as_usual()
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Reads a model that `save` or a retrain wrote.

        Raises:
            ModelError: there is no model, a damaged file, or another format.
        """
        model = load_model(Path(path), device)
        loaded = cls(model.config, device=device)
        loaded.model_, loaded.history_ = model, []
        return loaded

    def _read(self, frame: pl.DataFrame, config: RetrainConfig) -> tuple[pl.DataFrame, RetrainConfig]:
        """The rows with their cells read, and the configuration with how columns are spelled.

        Raises:
            DataError: too few rows, or the configuration names a column that is not there.
        """
        require_named(frame.columns, named_in_data(config.data))
        if frame.height < FEWEST_ROWS:
            raise DataError(
                f"Found array with {frame.height} sample(s) while a minimum of {FEWEST_ROWS} is required.",
                fix="Give more rows.",
            )
        cells = spelled(frame.lazy(), config.data)
        frame = cells.frame.collect()
        told = config.data.model_copy(update={"columns": {**config.data.columns, **cells.columns}})
        return frame, config.model_copy(update={"data": told})

    def _frame(self, X: Table, *, reset: bool, data: DataSection | None = None) -> pl.DataFrame:
        """The table as a Polars frame. Columns without names become x0, x1, ...

        Args:
            X: table [N, D].
            reset: whether its columns are those that later tables must have.
            data: names the columns that these may lack; None for those that `fit` was told.
        """
        X = at_hand(X)
        if isinstance(X, pl.DataFrame) or (hasattr(X, "iloc") and hasattr(X, "columns")):
            frame = X if isinstance(X, pl.DataFrame) else from_pandas(X)
            # A loaded model has no names from `fit` to check against; its preprocessor checks the columns.
            if hasattr(self, "n_features_in_") or reset:
                data = data or self.model_.config.data
                validate_data(self, without(X, {data.label, *data.drop}), reset=reset, skip_check_array=True)
            return frame
        values = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        return pl.DataFrame({f"x{j}": array_column(values[:, j]) for j in range(values.shape[1])})

    def _html_repr(self) -> str:
        """The estimator in a notebook: scikit-learn's diagram, and the trained model below it."""
        trained = getattr(self, "model_", None)
        return super()._html_repr() + ("" if trained is None else trained._repr_html_())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags


def as_config(config: RetrainConfig | Mapping[str, Any] | str | Path | None, device: str | None) -> RetrainConfig:
    """The configuration for the arguments of an estimator.

    Raises:
        ConfigError: it cannot be read, or names another kind of model.
    """
    # Each step accepts the result of the one before: a file, a mapping, a finished configuration.
    if isinstance(config, (str, Path)):
        config = load_config(config)
    if not isinstance(config, RetrainConfig):
        if not isinstance(config, Mapping | None):
            raise ConfigError(
                f"The settings are of type {type(config).__name__}.",
                expected="Expected keys and values, or a YAML file.",
            )
        content = {"data": {}} | dict(config or {})
        if isinstance(content["data"], Mapping):
            content["data"] = {"name": "table"} | dict(content["data"])
        config = parse_config(content, "the settings")
    if not config.model.is_variational:
        raise ConfigError(f"Estimators cannot train model.kind {config.model.kind}.", fix="Use `varjepa retrain`.")
    if device is None:
        return config
    return config.model_copy(update={"training": config.training.model_copy(update={"device": device})})
