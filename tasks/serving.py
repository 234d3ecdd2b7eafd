"""The registered model: MLflow runs this file where the model is loaded, nothing is unpickled."""

from pathlib import Path

import mlflow
import pandas as pd
import polars as pl
from mlflow.pyfunc import PythonModel, PythonModelContext

from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model


class RowEmbedder(PythonModel):
    """Raw rows in; embedding, and where the model has them uncertainty, prediction and probability out."""

    model: TrainedModel

    def load_context(self, context: PythonModelContext) -> None:
        self.model = load_model(Path(context.artifacts["model"]))

    # MLflow takes annotations of this method for a signature of its own.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, ARG002
        """Embeds the rows of a data frame; see `varjepa.inference.model.TrainedModel.predict`."""
        frame = pl.from_pandas(pd.DataFrame(model_input))
        out = self.model.predict(frame, int((params or {}).get("batch_size", 1024))).to_pandas()
        out["embedding"] = [list(map(float, row)) for row in out["embedding"]]
        return out


mlflow.models.set_model(RowEmbedder())
