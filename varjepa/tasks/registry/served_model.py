"""The registered model. MLflow runs this file to load the model; nothing is unpickled."""

import logging
from pathlib import Path

import mlflow
import pandas as pd
import polars as pl
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

from varjepa.data.mixed import mixed_as_text, require_single
from varjepa.errors import DataError, VarjepaError
from varjepa.inference.columns import named_groups, require_groups, scored
from varjepa.inference.given_tables import pandas_column
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model


class RowEmbedder(PythonModel):
    """Takes raw rows; returns embeddings and, if the model has them, uncertainty, prediction and what is beside it."""

    model: TrainedModel

    def load_context(self, context: PythonModelContext) -> None:
        self.model = load_model(Path(context.artifacts["model"]))

    # Without a type of `model_input` MLflow warns whoever loads the model. From this type, and from no other annotation
    # of this method, it derives no signature; so the others are left out.
    def predict(self, context, model_input: pd.DataFrame, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002
        """Embeds the rows of a data frame; see `varjepa.inference.model.TrainedModel.predict`.

        `params` may hold `batch_size`, and `columns`: groups of columns as in `varjepa score --columns`.
        """
        batch_size, columns = int((params or {}).get("batch_size", 1024)), str((params or {}).get("columns") or "")
        try:
            out = self._answer(to_polars(pd.DataFrame(model_input)), batch_size, columns)
        except VarjepaError as error:
            # MLflow's server hides the message of any other exception.
            raise MlflowException.invalid_parameter_value(str(error)) from error
        except Exception as error:
            # A bug. MLflow would send the traceback, with paths of this machine, to whoever asked.
            logging.getLogger(__name__).exception("a request could not be answered")
            raise MlflowException("The model could not answer. Its log says why.") from error
        plain = out.to_pandas()
        for name in (name for name, dtype in out.schema.items() if dtype.is_nested()):
            plain[name] = out[name].to_list()
        return plain

    def _answer(self, rows: pl.DataFrame, batch_size: int, columns: str) -> pl.DataFrame:
        if batch_size < 1:
            raise DataError(f"batch_size is {batch_size}.", expected="Expected at least 1.")
        if not columns:
            return self.model.predict(rows, batch_size)
        groups = named_groups(columns)
        require_groups(self.model, groups)
        return scored(self.model, rows, groups)


def to_polars(frame: pd.DataFrame) -> pl.DataFrame:
    """The rows in Polars. A column of mixed types, as JSON allows, becomes text.

    Raises:
        DataError: a cell is a list or an object.
    """
    columns = {}
    for name, column in frame.items():
        if column.dtype == object:
            require_single(str(name), column)
        try:
            columns[str(name)] = pandas_column(column)
        except (TypeError, ValueError, OverflowError):
            cells = (None if pd.isna(value) else value for value in column)
            columns[str(name)] = mixed_as_text(str(name), cells)
    return pl.DataFrame(columns)


mlflow.models.set_model(RowEmbedder())
