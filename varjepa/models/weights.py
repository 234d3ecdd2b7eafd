"""Weights on disk: safetensors in which equal content gives equal bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from varjepa.models.network import TableNetwork

FORMAT = "2"
"""Version of the files of a model; those of another version are refused."""

NETWORK = "network.safetensors"


LISTED = "manifest"
"""Key among the metadata of a network: its folder has a manifest, once the model is finished."""


class Contents(NamedTuple):
    """What a file of tensors holds: tensors by name, and text by key."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def save_network(folder: Path, network: TableNetwork, *, kind: str, names: list[str]) -> None:
    """Writes the weights of a network.

    Args:
        folder: of the model.
        network: to save.
        kind: `model.kind` of the configuration.
        names: of its features, in their order.
    """
    write_tensors(folder / NETWORK, network.state_dict(), {"kind": kind, "features": json.dumps(names), LISTED: "1"})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes safetensors so that the same content gives the same bytes; the library writes metadata in any order."""
    plain = {"format": FORMAT} | dict(metadata or {})
    # The file: eight bytes with the length of the header, the header as JSON, then the tensors.
    content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, plain)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header | {"__metadata__": dict(sorted(plain.items()))}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of eight
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Reads the tensors of what `write_tensors` wrote.

    Raises:
        ValueError, SafetensorError: see `read_file`.
    """
    return read_file(path).tensors


def read_file(path: Path, device: torch.device | str = "cpu") -> Contents:
    """Reads what `write_tensors` wrote.

    Raises:
        ValueError: the file is of another format, or holds numbers that are not finite.
        SafetensorError: it is damaged.
    """
    content = path.read_bytes()
    tensors = load(content)  # several times as fast as from the file; it also checks the header
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:
        raise ValueError(f"the format of {path.name} is {metadata.get('format')}, this version reads {FORMAT}")
    for name, values in tensors.items():
        if values.is_floating_point() and not np.isfinite(values.numpy()).all():
            raise ValueError(f"{path.name} holds numbers that are not finite, in {name}")
    return Contents({name: values.to(device) for name, values in tensors.items()}, metadata)


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], file: str) -> None:
    """Gives a module its weights.

    Args:
        module: of these shapes.
        tensors: by name.
        file: name of the file that they are from, for messages.

    Raises:
        ValueError: one is not of float32; torch would convert it without a word.
        RuntimeError: one is missing, too many, or of another shape.
    """
    for name, values in tensors.items():
        if values.dtype != torch.float32:
            raise ValueError(f"{name} in {file} is of {values.dtype}, expected torch.float32")
    module.load_state_dict(dict(tensors))
