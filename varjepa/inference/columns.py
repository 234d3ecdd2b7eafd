"""What a model writes beside a row, in groups of columns that people choose from."""

import polars as pl

from varjepa.data.cells import by_name
from varjepa.errors import ConfigError, ModelError, listed, nearest
from varjepa.inference.model import TrainedModel

GROUPS = ("embedding", "vector", "uncertainty", "prediction", "anomaly", "oddity")
"""The groups."""

ARRAYS = ("embedding", "vector")
"""Those whose cells are arrays."""

PREDICTED = {
    "embedding": ("embedding",),
    "uncertainty": ("uncertainty", "latent_uncertainty"),
    "prediction": ("prediction", "probability", "accept"),
}
"""Groups that `TrainedModel.predict` computes together, and their columns."""


def require_groups(model: TrainedModel, groups: tuple[str, ...]) -> None:
    """Checks groups of columns before the first row is read.

    Raises:
        ConfigError: one of them is unknown.
        ModelError: the model lacks what one of them needs.
    """
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        hint = nearest(unknown[0], GROUPS) or f"Choose from {listed(GROUPS)}."
        raise ConfigError(f'--columns names "{unknown[0]}", which is not a group of columns.', fix=hint)
    if model.generator is None and {"anomaly", "oddity"} & set(groups):
        raise ModelError(
            "The model has no generator, but anomaly and oddity need one.", fix="Leave them out of --columns."
        )
    if "vector" in groups:
        model.compact_basis()


def scored(model: TrainedModel, frame: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    """The columns of some groups for rows in memory.

    Raises:
        DataError: see `TrainedModel.encode`.
    """
    parts = []
    if set(groups) & set(PREDICTED):
        predicted = model.predict(frame)
        names = [name for group in groups for name in PREDICTED.get(group, ()) if name in predicted.columns]
        parts.append(predicted.select(by_name(names)))
    if "vector" in groups:
        vectors = model.vectors(frame)
        parts.append(pl.DataFrame({"vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))}))
    if set(groups) & {"anomaly", "oddity"}:
        odd = model.anomalies(frame)
        each = [name for name in odd.columns if name.startswith("oddity.")] if "oddity" in groups else []
        parts.append(odd.select([*(("anomaly", "odd_columns") if "anomaly" in groups else ()), *each]))
    return pl.concat(parts, how="horizontal") if parts else pl.DataFrame()
