"""What a trained model is, in a few lines for people."""

from typing import NamedTuple

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.errors import listed
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.heads.head import Head, name_of


class ModelParts(NamedTuple):
    """The parts of a model that a reader wants to know of.

    Attributes:
        head: None without a label.
        certificate: None where there is none.
        measure: of uncertainty, that ships; None without classes.
        can: what else the model can be asked.
    """

    head: Head | None
    certificate: Certificate | None
    measure: str | None
    can: tuple[str, ...]


def model_lines(config: RetrainConfig, preprocessor: Preprocessor, parts: ModelParts) -> list[tuple[str, str]]:
    """Facts of a model by name, those that it has."""
    model, label = config.model, preprocessor.label
    read = [*preprocessor.order, *(name for name in preprocessor.columns if name not in preprocessor.order)]
    text = [name for name, kind in preprocessor.kinds.items() if kind == "text"]
    lines = {
        "kind": f"{model.kind}, layers: {model.n_layers}, width: {model.d_hidden}",
        "columns": f"{len(read)}: {listed(read)}",
        "columns of text": listed(text),
        "left out": "; ".join(f"{name}: {reason}" for name, reason in preprocessor.left_out.items()),
        "label": "" if label is None else f"{label.name}, {_label_kind(label.classes)}",
        "head": "" if parts.head is None else name_of(parts.head),
        "uncertainty": parts.measure or "",
        "certificate": "" if parts.certificate is None else parts.certificate.promise,
        "also answers": ", ".join(parts.can),
    }
    return [(name, value) for name, value in lines.items() if value]


def _label_kind(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} classes: {listed(classes)}" if classes else "a number"
