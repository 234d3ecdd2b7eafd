"""What a model writes beside a row, in groups of columns that people choose from."""

import json

import polars as pl

from varjepa.data.cells import by_name
from varjepa.errors import ModelError, listed
from varjepa.inference.answer_columns import ON_REQUEST
from varjepa.inference.column_groups import require_known
from varjepa.inference.encoded_frame import EncodedFrame
from varjepa.inference.model import TrainedModel

CLASSES: tuple[ON_REQUEST, ...] = ("set", "probabilities")
"""Those that only models of classes have."""

PREDICTED = {
    "embedding": ("embedding",),
    "uncertainty": ("uncertainty", "latent_uncertainty"),
    "prediction": ("prediction", "probability", "low", "high", "accept"),
    "set": ("set",),
}
"""Columns of the groups that `TrainedModel.predict` computes together."""


def named_groups(text: str) -> tuple[str, ...]:
    """Groups of columns from a list with commas, each once.

    Examples:
        >>> named_groups("prediction,set,prediction")
        ('prediction', 'set')
    """
    return tuple(dict.fromkeys(text.split(",")))


def require_groups(model: TrainedModel, groups: tuple[str, ...]) -> None:
    """Checks groups of columns before the first row is read.

    Raises:
        ConfigError: one of them is unknown.
        ModelError: the model lacks what one of them needs.
    """
    require_known(groups)
    if model.generator is None and {"anomaly", "oddity"} & set(groups):
        raise ModelError(
            "The model has no generator, but anomaly and oddity need one.", fix="Leave them out of --columns."
        )
    _require_classes(model, groups)
    if "vector" in groups:
        model.compact_basis()


def _require_classes(model: TrainedModel, groups: tuple[str, ...]) -> None:
    """Checks that the model has the columns of classes that are asked for.

    Raises:
        ModelError: it has not.
    """
    asked, label = [group for group in CLASSES if group in groups], model.preprocessor.label
    if asked and (label is None or not label.classes):
        raise ModelError(
            f"The model predicts no classes, but --columns asks for {listed(asked)}.", fix="Leave it out of --columns."
        )
    if "set" in asked and model.sets is None:
        raise ModelError(
            "The model has no prediction sets.",
            expected="Expected one that varjepa retrain made with calibration rows.",
            fix="Retrain it with data.split.calibration above 0, or leave set out of --columns.",
        )  # fmt: skip


def scored(model: TrainedModel, frame: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    """The columns of some groups for rows in memory.

    Raises:
        DataError: see `TrainedModel.encode`.
    """
    if not groups:
        return pl.DataFrame()
    # Encoded once for all groups, and embedded once for those that read the same embedding.
    parts, rows = [], model.encoded(frame, keeps="vector" in groups)
    if set(groups) & {*PREDICTED, *CLASSES}:
        parts.append(_predicted(model, rows, groups))
    if "vector" in groups:
        vectors = model.vectors(rows)
        parts.append(pl.DataFrame({"vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1]))}))
    if set(groups) & {"anomaly", "oddity"}:
        odd = model.anomalies(rows)
        each = [name for name in odd.columns if name.startswith("oddity.")] if "oddity" in groups else []
        parts.append(odd.select([*(("anomaly", "odd_columns") if "anomaly" in groups else ()), *each]))
    if "reasons" in groups:
        parts.append(model.reasons(rows).top().to_frame())
    return pl.concat(parts, how="horizontal")


def as_json_text(frame: pl.DataFrame) -> pl.DataFrame:
    """`reasons` as JSON, for places that hold no lists of structures."""
    if "reasons" not in frame.columns:
        return frame
    texts = [json.dumps(row, ensure_ascii=False) for row in frame["reasons"].to_list()]
    return frame.with_columns(pl.Series("reasons", texts, dtype=pl.String))


def _predicted(model: TrainedModel, rows: EncodedFrame, groups: tuple[str, ...]) -> pl.DataFrame:
    predicted = model.predict(rows, also=[group for group in CLASSES if group in groups])
    each = tuple(name for name in predicted.columns if name.startswith("probability."))
    wanted = PREDICTED | {"probabilities": each}
    names = [name for group in groups for name in wanted.get(group, ()) if name in predicted.columns]
    return predicted.select(by_name(names))
