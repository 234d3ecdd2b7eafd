"""Models as folders, with everything that a folder may hold; and faults of folders, drawn at random."""

import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tests.model_folders import edited
from tests.small_networks import SMALL
from varjepa.config import parse_config
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.features import LABEL
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.encode.tensors import to_tensors
from varjepa.data.fit.preprocessor_fit import fit
from varjepa.inference.generator.fill import outside_range
from varjepa.inference.generator.fitting import fitted_generator
from varjepa.inference.kept_embeddings import fresh
from varjepa.inference.manifest import MANIFEST
from varjepa.inference.model import TrainedModel
from varjepa.inference.probing import fit_probes
from varjepa.inference.vectors.fitting import fit_compact
from varjepa.models.new_network import new_network
from varjepa.models.weights import read_file

TENSORS = ".safetensors"


def labelled_table(rows: int, seed: int) -> pl.DataFrame:
    """Two numbers with gaps, a category, a class and a value that follow from them."""
    rng = np.random.default_rng(seed)
    size, age = rng.normal(size=rows), rng.integers(18, 90, rows).astype(float)
    kind = rng.choice(["small", "large", "odd"], rows)
    value = 3 * size + (kind == "large") + rng.normal(0, 0.3, rows)
    age[rng.random(rows) < 0.1] = np.nan
    return pl.DataFrame({
        "size": size, "age": pl.Series(age, nan_to_null=True), "kind": kind, "value": value,
        "class": np.where(value > 0, "yes", "no"),
    })  # fmt: skip


def trained(label: str, head: str) -> TrainedModel:
    """A model of `labelled_table` whose network was not trained, with a head, a generator and vectors.

    Args:
        label: class or value.
        head: kind of the head.
    """
    drop = ["value" if label == "class" else "class"]
    config = parse_config({
        "data": {"name": "table", "label": label, "drop": drop}, "model": SMALL.model_dump(),
        "probe": {"head": head, "l2": [1e-3]}, "uncertainty": {"ensemble": 2},
        "generator": {"n_layers": 1, "max_steps": 10, "n_bars": 8},
    })  # fmt: skip
    frames = [labelled_table(rows, seed) for seed, rows in enumerate((200, 100))]
    preprocessor = fit(frames[0].lazy(), config.data, config.preprocess)
    network = new_network(preprocessor.sizes, config).eval()
    train, validation = (_part(frame, preprocessor) for frame in frames)
    held = tuple((part.table, outside_range(frame, preprocessor))
                 for part, frame in zip((train, validation), frames, strict=True))  # fmt: skip
    generator = fitted_generator(network, preprocessor, config, tables=(train.table, validation.table), held=held)
    probes = fit_probes(fresh(network), preprocessor, config, train=train, validation=validation)
    chosen = None if head == "linear" else probes.chosen.head
    compact = fit_compact(network, train.table, validation.table)
    model = TrainedModel(config, preprocessor, network, probes.linear, generator=generator, compact=compact)
    return replace(model, fitted=probes.fitted, intervals=probes.intervals, chosen_head=chosen)


def _part(frame: pl.DataFrame, preprocessor: Preprocessor) -> Part:
    encoded = preprocessor.encode(frame.lazy(), with_label=True).collect()
    labels = torch.tensor(encoded[LABEL].to_numpy().copy())
    return Part(to_tensors(encoded, preprocessor), labels, np.arange(frame.height))


def _file(draw: random.Random, folder: Path, ending: str = "") -> Path:
    return draw.choice([path for path in sorted(folder.iterdir()) if path.name.endswith(ending) and path.is_file()])


def truncate(draw: random.Random, folder: Path) -> str:
    """Cuts a file off."""
    path = _file(draw, folder)
    os.truncate(path, draw.randrange(path.stat().st_size))
    return path.name


def flip(draw: random.Random, folder: Path) -> str:
    """Changes some bytes of a file."""
    path, content = (found := _file(draw, folder)), bytearray(found.read_bytes())
    for _ in range(draw.choice([1, 1, 2, 20])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(content)
    return path.name


def _tensor(draw: random.Random, folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> str:
    path = _file(draw, folder, TENSORS)
    name = draw.choice(sorted(read_file(path).tensors))
    edited(folder, path.name, lambda tensors: tensors.update({name: change(tensors[name]).contiguous()}))
    return f"{path.name} {name}"


def poison(draw: random.Random, folder: Path) -> str:
    """Puts a number into a tensor that does not belong there."""
    value = draw.choice([float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0, -1.0])

    def change(values: torch.Tensor) -> torch.Tensor:
        flat = values.clone().flatten()
        if len(flat):
            at = draw.randrange(len(flat))
            flat[at] = value if values.is_floating_point() else draw.choice([0, 1, 100, 127])
        return flat.view(values.shape)

    return _tensor(draw, folder, change)


def reshape(draw: random.Random, folder: Path) -> str:
    """Gives a tensor another shape."""
    shapes: list[Callable[[torch.Tensor], torch.Tensor]] = [
        lambda values: values.flatten()[:1], lambda values: values.flatten()[:0], lambda values: values.flatten(),
        lambda values: values[None], lambda values: torch.cat([values.flatten(), values.flatten()]),
        lambda values: values.T if values.dim() == 2 else values[None],
    ]  # fmt: skip
    return _tensor(draw, folder, draw.choice(shapes))


def retype(draw: random.Random, folder: Path) -> str:
    """Gives a tensor another type."""
    kind = draw.choice([torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
    return f"{_tensor(draw, folder, lambda values: values.to(kind))} {kind}"


def swap(draw: random.Random, folder: Path) -> str:
    """Swaps two tensors of a file, or leaves one out, or adds one."""
    path = _file(draw, folder, TENSORS)
    names, kind = sorted(read_file(path).tensors), draw.choice(["swap", "leave out", "add"])
    first, second = draw.choice(names), draw.choice(names)

    def change(tensors: dict[str, torch.Tensor]) -> None:
        if kind == "swap":
            tensors[first], tensors[second] = tensors[second].clone(), tensors[first].clone()
        elif kind == "leave out":
            del tensors[first]
        else:
            tensors[f"{first}.more"] = tensors[first].clone()

    edited(folder, path.name, change)
    return f"{path.name} {kind} {first} {second}"


def header(draw: random.Random, folder: Path) -> str:
    """Writes a header of safetensors that is huge, deep, or names bytes that are not there."""
    path = _file(draw, folder, TENSORS)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    begin, rest = content[8 : 8 + length], content[8 + length :]
    kind = draw.choice(["huge", "endless", "deep", "far", "shape"])
    if kind == "huge":
        path.write_bytes((2**40).to_bytes(8, "little") + content[8:])
    elif kind == "endless":
        path.write_bytes((2**64 - 1).to_bytes(8, "little") + content[8:])
    else:
        entries = json.loads(begin)
        name = draw.choice(sorted(entries.keys() - {"__metadata__"}))
        entries[name] |= {"data_offsets": [0, 2**50]} if kind == "far" else {"shape": [2**31, 2**31]}
        text = b"[" * 100_000 if kind == "deep" else json.dumps(entries).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + rest)
    return f"{path.name} {kind}"


def metadata(draw: random.Random, folder: Path) -> str:
    """Changes a text among the metadata of a file of tensors: temperatures, certificates, facts of heads."""
    path = _file(draw, folder, TENSORS)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    plain = entries["__metadata__"]
    key = draw.choice(sorted(plain))
    old = plain[key]
    plain[key] = draw.choice(["", "nan", "-1", "0", "1e300", "{}", "[]", "null", old[:-1], old.replace("1", "9")])
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    return f"{path.name} {key} {plain[key][:40]}"


def edit(draw: random.Random, folder: Path) -> str:
    """Changes a value somewhere in a JSON file."""
    path = _file(draw, folder, ".json")
    content: Any = json.loads(path.read_text())
    inner, way = content, []
    while isinstance(inner, dict | list) and inner:
        key = draw.choice(sorted(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
        way.append(key)
        if not isinstance(inner[key], dict | list) or not inner[key] or draw.random() < 0.1:
            inner[key] = draw.choice([None, -1, 0, 1, 10**9, 1e300, "", "x", [], {}, True, float("nan"), [1, 0]])
            break
        inner = inner[key]
    path.write_text(json.dumps(content))
    return f"{path.name} {'.'.join(map(str, way))}"


def replaced(draw: random.Random, folder: Path) -> str:
    """Puts something else in the place of a file."""
    path, kind = (
        _file(draw, folder),
        draw.choice(["gone", "empty", "folder", "link", "pipe", "loop", "other", "device"]),
    )
    content = path.read_bytes()
    other = _file(draw, folder).read_bytes()
    path.unlink()
    if kind in ("empty", "other"):
        path.write_bytes(b"" if kind == "empty" else other)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":  # the same content in another place is the same model
        (folder.parent / "elsewhere").write_bytes(content)
        path.symlink_to(folder.parent / "elsewhere")
    elif kind in ("loop", "device"):
        path.symlink_to(path.name if kind == "loop" else "/dev/zero")
    return f"{path.name} {kind}"


def added(draw: random.Random, folder: Path) -> str:
    """Adds a file: one that a model may have, or another."""
    name = draw.choice(
        ["head.safetensors", "sets.json", "intervals.safetensors", "profile.json", "notes.txt", "evil.py"]
    )
    (folder / name).write_bytes(_file(draw, folder).read_bytes())
    return name


FAULTS = (truncate, flip, poison, poison, reshape, reshape, retype, swap, header, metadata, metadata, edit, edit, edit,
          replaced, replaced, added)  # fmt: skip
"""Those that hide best come more often."""


def damage(draw: random.Random, folder: Path) -> str:
    """Damages a folder; returns how."""
    fault = draw.choice(FAULTS)
    try:
        return f"{fault.__name__}: {fault(draw, folder)}"
    except (RuntimeError, ValueError, TypeError) as error:  # a value that the tensor cannot hold
        return f"{fault.__name__}: nothing ({error})"


def forget_manifest(folder: Path) -> None:
    """Takes the manifest away, before the folder is damaged: as versions of before wrote it."""
    from tests.model_folders import without_manifest

    if (folder / MANIFEST).is_file():
        without_manifest(folder)
