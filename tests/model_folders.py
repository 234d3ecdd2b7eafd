"""Changes of models' folders for tests."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from varjepa.inference.manifest import MANIFEST
from varjepa.models.weights import LISTED, NETWORK, read_file, write_tensors


def without_manifest(folder: Path) -> None:
    """Makes a folder one of those that versions of before wrote, without a manifest."""
    (folder / MANIFEST).unlink()
    tensors, plain = read_file(folder / NETWORK)
    write_tensors(folder / NETWORK, tensors, {name: text for name, text in plain.items() if name != LISTED})


def edited(folder: Path, file: str, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Changes the tensors of a file; a manifest stays as it is."""
    tensors, plain = read_file(folder / file)
    change(tensors)
    write_tensors(folder / file, tensors, plain)
