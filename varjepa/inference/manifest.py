"""The manifest of a model's folder: its files with their sizes and digests, and the shapes of their tensors.

It is written last and read first, so a folder with a manifest is complete, and what it holds is what was written. It
does not say who wrote it: whoever may write the folder may also write another manifest. Its own digest, kept
elsewhere, does: `varjepa retrain` keeps it in the registry.

A file that a model would be read from is refused where the manifest does not name it. Other files, such as notes, are
never read.
"""

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from varjepa.config.base import Facts, NonNegative

MANIFEST = "manifest.json"

LARGEST = 16 * 2**20
"""Most bytes of a manifest; that of a model with a hundred layers has about 100,000."""

TENSORS = ".safetensors"


class TensorEntry(Facts):
    """A tensor: its type as safetensors names it, and its shape."""

    dtype: str
    shape: tuple[int, ...]


class FileEntry(Facts):
    """A file.

    Attributes:
        size: in bytes.
        sha256: of its content.
        tensors: by name; empty for other files than safetensors.
    """

    size: NonNegative
    sha256: str
    tensors: dict[str, TensorEntry] = {}


class Manifest(Facts):
    """The files of a model by name, its configuration included, but not the manifest itself."""

    version: Literal[1] = 1
    files: dict[str, FileEntry]


def write_manifest(folder: Path, names: Collection[str]) -> None:
    """Writes the manifest of a folder.

    Args:
        folder: of the model.
        names: of all files that a model may have; those in the folder are listed.
    """
    files = {name: _entry(folder / name) for name in sorted(names) if (folder / name).is_file()}
    (folder / MANIFEST).write_text(Manifest(files=files).model_dump_json(indent=1), encoding="utf-8")


def require_intact(folder: Path, names: Collection[str]) -> bool:
    """Checks a model's folder against its manifest. Returns whether it has one; models of older versions have none.

    Args:
        folder: of the model.
        names: of all files that a model may have.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the manifest cannot be read, a file differs from it, or is a folder, a pipe or a device.
    """
    path = folder / MANIFEST
    for name in (MANIFEST, *names):
        # A pipe or a device has no end; a link to a file is fine.
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise ValueError(f"{name} is no file")
    if not path.exists():
        return False
    manifest = _read(path)
    for name, entry in manifest.files.items():
        if name not in names:
            raise ValueError(f"{MANIFEST} names {name}, which is no file of a model")
        _require_same(folder / name, entry)
    if more := [name for name in sorted(names) if name not in manifest.files and (folder / name).exists()]:
        raise ValueError(f"{more[0]} is not in {MANIFEST}")
    return True


def manifest_digest(folder: Path) -> str | None:
    """SHA-256 of the manifest of a folder; None where there is none."""
    path = folder / MANIFEST
    return _sha256(path) if path.is_file() else None


def _read(path: Path) -> Manifest:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{MANIFEST} has more than {LARGEST:,} bytes")
    return Manifest.model_validate_json(path.read_bytes())


def _require_same(path: Path, entry: FileEntry) -> None:
    if not path.exists():
        raise FileNotFoundError(2, "missing", str(path))
    # The size first: no time is spent on a huge file.
    if path.stat().st_size != entry.size:
        raise ValueError(f"{path.name} is not the file of {entry.size:,} bytes that {MANIFEST} names")
    if _sha256(path) != entry.sha256:
        raise ValueError(f"{path.name} has changed: its SHA-256 is not the one in {MANIFEST}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(path: Path) -> FileEntry:
    tensors = _tensors(path) if path.suffix == TENSORS else {}
    return FileEntry(size=path.stat().st_size, sha256=_sha256(path), tensors=tensors)


def _tensors(path: Path) -> dict[str, TensorEntry]:
    """The tensors that the header of a file of our own names."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: TensorEntry(dtype=entry["dtype"], shape=entry["shape"])
            for name, entry in sorted(header.items()) if name != "__metadata__"}  # fmt: skip
