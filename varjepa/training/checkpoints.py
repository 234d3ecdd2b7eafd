"""Checkpoints: everything that the loop needs to resume after an interruption, written atomically."""

from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint; an interruption leaves the old one in place."""
    # Written under another name in the same folder, then renamed: a reader sees the old file or the new one.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Reads a checkpoint, or returns None where there is none. Only tensors and plain data are unpickled."""
    if not path.is_file():
        return None
    return torch.load(path, map_location=device, weights_only=True)
