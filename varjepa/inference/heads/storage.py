"""Heads as files: arrays in safetensors, trees as XGBoost's own bytes among them, the rest as JSON. Nothing pickled."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.evaluation.probe import LinearProbe
from varjepa.inference.heads.boosted import BoostedHead
from varjepa.inference.heads.forest import ForestHead, Nodes
from varjepa.inference.heads.head import Head
from varjepa.inference.heads.inputs import Components, RawColumns
from varjepa.inference.heads.label_transform import LabelTransform, TransformedHead
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.mlp import MLPHead, Networks
from varjepa.inference.heads.stacked import StackedHead
from varjepa.inference.heads.tree_growth import Shape
from varjepa.models.weights import read_file, write_tensors

HEAD_FILE = "head.safetensors"
"""The head that ships, where it is another than the linear probe on the embedding."""

FACTS = "heads"
"""Key of the facts among a file's metadata."""


def save_head(folder: Path, head: Head) -> None:
    """Writes a head into a folder."""
    tensors, facts = packed([head])
    write_tensors(folder / HEAD_FILE, tensors, {FACTS: facts})


def load_head(path: Path, preprocessor: Preprocessor, device: torch.device) -> Head:
    """Reads what `save_head` wrote.

    Raises:
        ValueError, KeyError: the file holds no head.
    """
    tensors, plain = read_file(path, device)
    return unpacked(tensors, plain[FACTS], preprocessor)[0]


def packed(heads: Sequence[Head]) -> tuple[dict[str, Tensor], str]:
    """Arrays of some heads, and the rest of them as JSON text."""
    tensors = {f"{number}.{name}": value for number, head in enumerate(heads)
               for name, value in head.tensors().items()}  # fmt: skip
    return tensors, json.dumps([_facts(head) for head in heads])


def unpacked(tensors: dict[str, Tensor], facts: str, preprocessor: Preprocessor) -> list[Head]:
    """The heads whose arrays and JSON text `packed` gave.

    Args:
        tensors: arrays by name.
        facts: JSON text.
        preprocessor: of the table.

    Raises:
        ValueError, KeyError: this is no head.
    """
    return [_head(each, _below(tensors, str(number)), preprocessor) for number, each in enumerate(json.loads(facts))]


def _facts(head: Head) -> dict[str, Any]:
    facts = {"kind": head.kind, "features": head.features} | head.facts()
    return facts | ({"members": [_facts(member) for member in head.members]} if isinstance(head, StackedHead) else {})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def _head(facts: dict[str, Any], tensors: dict[str, Tensor], preprocessor: Preprocessor) -> Head:
    read = {"linear": _linear, "boosted": _boosted, "forest": _forest, "mlp": _mlp, "stacked": _stacked}
    if facts["kind"] not in read:
        raise ValueError(f"unknown kind of head {facts['kind']}")
    head = read[facts["kind"]](facts, tensors, preprocessor)
    if "transform" not in facts:
        return head
    transform = LabelTransform.model_validate(facts["transform"])
    return TransformedHead(head, transform, tuple(facts["errors"]), facts["low"], facts["high"])


def _linear(facts: dict[str, Any], tensors: dict[str, Tensor], preprocessor: Preprocessor) -> Head:
    read = [facts["warped"], facts.get("binned", False)]  # older models have no bins
    columns = None if facts["features"] == "embedding" else RawColumns(preprocessor, *read)
    return LinearHead(LinearProbe(**tensors, l2=facts["l2"]), facts["features"], columns)


def _components(tensors: dict[str, Tensor]) -> Components | None:
    return Components(tensors["center"], tensors["basis"]) if "basis" in tensors else None


def _boosted(facts: dict[str, Any], tensors: dict[str, Tensor], _: Preprocessor) -> Head:
    named = {name: facts[name] for name in ("features", "n_classes", "center", "spread")}
    shape = Shape(**{name: facts[name] for name in Shape._fields if name in facts})  # older models have the depth alone
    return BoostedHead(tensors["trees"].cpu().numpy().tobytes(), components=_components(tensors), shape=shape, **named)


def _forest(facts: dict[str, Any], tensors: dict[str, Tensor], _: Preprocessor) -> Head:
    nodes = Nodes(**{name: tensors[name] for name in Nodes._fields})
    named = {name: facts[name] for name in ("features", "n_classes", "depth", "leaf_rows", "center", "spread")}
    return ForestHead(nodes, components=_components(tensors), **named)


def _mlp(facts: dict[str, Any], tensors: dict[str, Tensor], preprocessor: Preprocessor) -> Head:
    components, weights = _components(tensors), _below(tensors, "networks")
    networks = Networks(
        count=len(weights["frequency"]), sizes=None if facts["features"] == "embedding" else preprocessor.sizes,
        n_components=0 if components is None else components.basis.shape[1], d_out=facts["n_classes"] or 1,
        bends=weights["frequency"].shape[1] > 0, drawn=False,
    )  # fmt: skip
    networks.load_state_dict(weights, assign=True)
    named = {name: facts[name] for name in ("features", "n_classes", "center", "spread")}
    return MLPHead(networks.eval(), sizes=preprocessor.sizes, components=components, **named)


def _stacked(facts: dict[str, Any], tensors: dict[str, Tensor], preprocessor: Preprocessor) -> Head:
    each = enumerate(facts["members"])
    members = tuple(_head(member, _below(tensors, str(number)), preprocessor) for number, member in each)
    return StackedHead(members, tuple(facts["weights"]))
