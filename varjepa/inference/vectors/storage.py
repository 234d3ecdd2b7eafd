"""The basis of compact vectors on disk."""

from pathlib import Path

import torch

from varjepa.inference.vectors.compact import CompactBasis, Shape
from varjepa.models.weights import read_file, write_tensors

VECTORS = "vectors.safetensors"


def save_compact(folder: Path, compact: CompactBasis) -> None:
    """Writes arrays, and the rest as metadata."""
    power, whitening = compact.shape
    # `repr` of a float reads back as the same float.
    plain = {"power": repr(power), "whitening": repr(whitening), "recovered": repr(compact.recovered)}
    write_tensors(folder / VECTORS, compact.tensors(), plain)


def load_compact(path: Path, device: torch.device) -> CompactBasis:
    """Reads what `save_compact` wrote.

    Raises:
        ValueError, KeyError, SafetensorError: it is damaged or of another format.
    """
    tensors, plain = read_file(path, device)
    shape = Shape(float(plain["power"]), float(plain["whitening"]))
    return CompactBasis(shape, **tensors, recovered=float(plain["recovered"]))
