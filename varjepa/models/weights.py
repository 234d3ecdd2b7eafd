"""Weights on disk: safetensors in which equal content gives equal bytes."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from varjepa.models.network import TableNetwork

FORMAT = "2"
"""Version of the files of a model; those of another version are refused."""

NETWORK = "network.safetensors"


def save_network(folder: Path, network: TableNetwork, *, kind: str, names: list[str]) -> None:
    """Writes the weights of a network.

    Args:
        folder: of the model.
        network: to save.
        kind: `model.kind` of the configuration.
        names: of its features, in their order.
    """
    write_tensors(folder / NETWORK, network.state_dict(), {"kind": kind, "features": json.dumps(names)})


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
    """Reads what `write_tensors` wrote.

    Raises:
        ValueError: the file is of another format.
        SafetensorError: it is damaged.
    """
    # The format is checked before any tensor is read.
    with safe_open(path, framework="pt") as file:
        written = (file.metadata() or {}).get("format")
    if written != FORMAT:
        raise ValueError(f"its format is {written}, this version reads {FORMAT}")
    return load_file(path)
