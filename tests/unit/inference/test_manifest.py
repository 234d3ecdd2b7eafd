"""A model's folder is complete and unchanged, or refused; without a manifest its parts must still fit together."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.model_folders import edited, without_manifest
from varjepa.errors import ModelError
from varjepa.inference.manifest import MANIFEST, Manifest, manifest_digest
from varjepa.inference.storage import FILES, load_model, save_model
from varjepa.models.weights import FORMAT, read_file, write_tensors

NETWORK, GENERATOR = "network.safetensors", "generator.safetensors"


@pytest.fixture(scope="module")
def saved(world: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(folder, world.model)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def test_it_lists_every_file_with_its_tensors(saved: Path) -> None:
    manifest = Manifest.model_validate_json((saved / MANIFEST).read_text())
    assert set(manifest.files) == {path.name for path in saved.iterdir()} - {MANIFEST} <= set(FILES)
    weights = load_file(saved / NETWORK)
    assert {name: entry.shape for name, entry in manifest.files[NETWORK].tensors.items()} == {
        name: tuple(values.shape) for name, values in weights.items()
    }


def test_equal_models_have_equal_manifests(saved: Path, world: SimpleNamespace, tmp_path: Path) -> None:
    save_model(tmp_path, world.model)
    assert manifest_digest(tmp_path) == manifest_digest(saved)


def test_a_folder_that_is_written_again_keeps_no_part_of_the_other_model(folder: Path, world: SimpleNamespace) -> None:
    (folder / "sets.json").write_text("{}")
    save_model(folder, world.model)
    load_model(folder, "cpu")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda folder: flipped(folder / NETWORK), "has changed"),
    "a letter": (lambda folder: flipped(folder / "preprocessor.json"), "has changed"),
    "shorter": (lambda folder: os.truncate(folder / GENERATOR, 100), "is not the file of"),
    "gone": (lambda folder: (folder / "bars.json").unlink(), r"bars\.json is missing"),
    "more": (lambda folder: (folder / "sets.json").write_text("{}"), r"sets\.json is not in manifest"),
    "swapped": (lambda folder: shutil.copy(folder / NETWORK, folder / GENERATOR), "is not the file of"),
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), r"manifest\.json is missing"),
    "no json": (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "cannot be read"),
    "a folder": (lambda folder: (folder / "sets.json").mkdir(), r"sets\.json is no file"),
    "a pipe": (
        lambda folder: ((folder / "bars.json").unlink(), os.mkfifo(folder / "bars.json")), r"bars\.json is no file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_refused(change: str, folder: Path) -> None:
    make, message = CHANGES[change]
    make(folder)
    with pytest.raises(ModelError, match=message):
        load_model(folder, "cpu")


def test_what_is_never_read_is_ignored(folder: Path) -> None:
    (folder / "notes.txt").write_text("trained on a Tuesday")
    load_model(folder, "cpu")


def rewritten(folder: Path, file: str, *path: str | int, value: object) -> None:
    """Changes a value of a JSON file."""
    content = inner = json.loads((folder / file).read_text())
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    (folder / file).write_text(json.dumps(content))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "NaN": (
        lambda folder: edited(folder, NETWORK, lambda t: next(iter(t.values())).fill_(torch.nan)), "not finite",
    ),
    "infinite": (
        lambda folder: edited(folder, GENERATOR, lambda t: t["mask_token"].fill_(torch.inf)), "not finite",
    ),
    "shape": (
        lambda folder: edited(folder, GENERATOR, lambda t: t.update(mask_token=torch.zeros(1))), "size mismatch",
    ),
    "type": (
        lambda folder: edited(folder, GENERATOR, lambda t: t.update(mask_token=t["mask_token"].double())), "float64",
    ),
    "one too many": (
        lambda folder: edited(folder, GENERATOR, lambda t: t.update(more=torch.zeros(1))), "more",
    ),
    "no generator": (lambda folder: (folder / GENERATOR).unlink(), r"generator\.safetensors is missing"),
    "no spread": (
        lambda folder: rewritten(folder, "preprocessor.json", "numeric", 0, "std", value=0), "greater than 0",
    ),
    "a huge network": (
        lambda folder: rewritten(folder, "config.json", "model", "n_layers", value=1000), "network of at least",
    ),
    "a huge generator": (
        lambda folder: rewritten(folder, "config.json", "generator", "n_layers", value=1000), "generator of at least",
    ),
    "bars out of order": (
        lambda folder: rewritten(folder, "bars.json", 0, "edges", 0, value=1e9), "not in order",
    ),
    "groupings": (
        lambda folder: rewritten(folder, "reference.json", "groupings", value=10**9), "groupings",
    ),
    "deep JSON": (lambda folder: (folder / "bars.json").write_text("[" * 100_000), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_parts_that_do_not_fit_are_refused_without_a_manifest(fault: str, folder: Path) -> None:
    without_manifest(folder)
    load_model(folder, "cpu")
    make, message = FAULTS[fault]
    make(folder)
    with pytest.raises(ModelError, match=message):
        load_model(folder, "cpu")


def test_another_format_is_refused(folder: Path) -> None:
    without_manifest(folder)
    tensors, _ = read_file(folder / NETWORK)
    write_tensors(folder / NETWORK, tensors, {"format": "1"})
    with pytest.raises(ModelError, match=f"this version reads {FORMAT}"):
        load_model(folder, "cpu")
