"""A trained model as a folder: JSON and safetensors, plain data, nothing pickled."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from varjepa.config import RetrainConfig, result_settings
from varjepa.config.load import parse_stored
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.errors import ModelError
from varjepa.evaluation.probe import LinearProbe
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.drift_reference import Counts, Directions, Profile
from varjepa.inference.fitted_uncertainty import FittedUncertainty
from varjepa.inference.generator.storage import BARS, GENERATOR, REFERENCE, load_generator, save_generator
from varjepa.inference.heads.storage import FACTS, HEAD_FILE, load_head, packed, save_head, unpacked
from varjepa.inference.interval_storage import (
    INTERVALS,
    SETS,
    load_intervals,
    load_sets,
    save_intervals,
    save_sets,
)
from varjepa.inference.manifest import MANIFEST, require_intact, write_manifest
from varjepa.inference.model import TrainedModel
from varjepa.inference.soundness import require_preprocessor, require_sound, require_weights
from varjepa.inference.vectors.storage import VECTORS, load_compact, save_compact
from varjepa.models.new_network import build_network
from varjepa.models.weights import (
    LISTED,
    NETWORK,
    load_weights,
    read_file,
    read_tensors,
    save_network,
    write_tensors,
)
from varjepa.training.device import resolve_device, resolve_precision

CONFIG, PREPROCESSOR = "config.json", "preprocessor.json"
PROBE, UNCERTAINTY = "probe.safetensors", "doubt.safetensors"
PROFILE, DIRECTIONS = "profile.json", "profile.safetensors"

RESAMPLED = "resampled"
"""Key of the number of resampled heads among the metadata of the uncertainty; they are the last of its heads."""

PARTS = (PREPROCESSOR, NETWORK, PROBE, HEAD_FILE, UNCERTAINTY, INTERVALS, SETS, GENERATOR, BARS, REFERENCE, PROFILE,
         DIRECTIONS, VECTORS)  # fmt: skip
"""Files of a model beside its configuration; preprocessor and network are in every one."""

FILES = (CONFIG, *PARTS)
"""All files of a model but its manifest."""

SETTINGS = ("data", "model", "masking", "objective", "training.seed", "uncertainty", "generator.n_layers",
            "generator.missing")  # fmt: skip
"""Settings that a finished model still reads from its configuration; all others are contained in its files."""


def save_model(folder: Path, model: TrainedModel) -> None:
    """Writes the model as JSON and safetensors: plain data, nothing pickled."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, *FILES):
        (folder / name).unlink(missing_ok=True)  # of another model, of which this one may lack a part
    save_config(folder, model.config)
    (folder / PREPROCESSOR).write_text(model.preprocessor.model_dump_json(), encoding="utf-8")
    save_network(folder, model.network, kind=model.config.model.kind, names=model.preprocessor.names)
    if model.probe is not None:
        save_probe(folder, model.probe)
    if model.chosen_head is not None:
        save_head(folder, model.chosen_head)
    if model.fitted is not None:
        save_uncertainty(folder, model.fitted)
    if model.intervals is not None:
        save_intervals(folder, model.intervals)
    if model.sets is not None:
        save_sets(folder, model.sets)
    if model.generator is not None:
        save_generator(folder, model.generator)
    if model.profile is not None:
        save_profile(folder, model.profile)
    if model.compact is not None:
        save_compact(folder, model.compact)
    write_manifest(folder, FILES)


def save_config(folder: Path, config: RetrainConfig) -> None:
    """Writes the whole configuration of the job that made a model."""
    (folder / CONFIG).write_text(config.model_dump_json(indent=1), encoding="utf-8")


def save_probe(folder: Path, probe: LinearProbe) -> None:
    """Writes the linear probe."""
    write_tensors(folder / PROBE, probe.tensors(), {"l2": repr(probe.l2)})


def save_uncertainty(folder: Path, fitted: FittedUncertainty) -> None:
    """Writes arrays, and the rest as metadata."""
    # Metadata are text; `repr` of a float reads back as the same float.
    metadata = {"temperature": repr(fitted.temperature), "measure": fitted.measure}
    metadata |= {"reason": fitted.reason}
    if fitted.certificate is not None:
        metadata["certificate"] = fitted.certificate.model_dump_json()
    if fitted.error_inputs:
        metadata["error_inputs"] = ",".join(fitted.error_inputs)
    heads, facts = packed([*([] if fitted.second is None else [fitted.second]), *fitted.resampled])
    if heads:
        metadata |= {FACTS: facts, RESAMPLED: str(len(fitted.resampled))}
    tensors = fitted.tensors() | {f"{FACTS}.{name}": value for name, value in heads.items()}
    write_tensors(folder / UNCERTAINTY, tensors, metadata)


def save_profile(folder: Path, profile: Profile) -> None:
    """Writes counts as JSON, directions as arrays."""
    (folder / PROFILE).write_text(profile.counts.model_dump_json(), encoding="utf-8")
    write_tensors(folder / DIRECTIONS, profile.directions._asdict())


def load_model(folder: Path, device: str = "auto", precision: str = "float32") -> TrainedModel:
    """Reads what `save_model` wrote.

    Args:
        folder: the model's folder.
        device: auto, cpu, or a GPU by name.
        precision: of the matrix products: float32, bfloat16, or auto (bfloat16 where the device has it).

    Raises:
        ConfigError: there is no such device.
        ModelError: no model there, a damaged file, or another format.
    """
    resolve_device(device)  # one that is not there is no fault of the model
    with _readable(folder):
        listed, parts = require_intact(folder, FILES), model_parts(folder)
        model = load_parts(load_config_of(folder), parts, device, precision)
        if not listed:
            _require_complete(model, parts)
        return model


def _require_complete(model: TrainedModel, parts: Mapping[str, Path]) -> None:
    """Checks that a model without a manifest has what every finished model of its kind has.

    Args:
        model: from the files that are there.
        parts: the files by name.

    Raises:
        FileNotFoundError: a file is missing.
    """
    if LISTED in read_file(parts[NETWORK]).metadata:
        raise FileNotFoundError(2, "missing", MANIFEST)
    label = model.preprocessor.label
    needed = {
        PROBE: label is not None and model.probe is None,
        UNCERTAINTY: label is not None and bool(label.classes) and model.fitted is None,
        GENERATOR: model.config.generator.n_layers > 0 and model.generator is None,
    }  # fmt: skip
    for name, lacks in needed.items():
        if lacks:
            raise FileNotFoundError(2, "missing", name)


def load_config_of(folder: Path) -> RetrainConfig:
    """The configuration of a model.

    A configuration without `data.split.columns` was written before this key existed. What it says is kept: its split
    by hash hashed all columns, also the label.

    Raises:
        FileNotFoundError, ValueError, ConfigError: there is none, or it cannot be read.
    """
    config = parse_stored(json.loads((folder / CONFIG).read_text(encoding="utf-8")), str(folder / CONFIG))
    split = config.data.split
    if split.by != "hash" or "columns" in split.model_fields_set:
        return config
    old = split.model_copy(update={"columns": "all"})
    return config.model_copy(update={"data": config.data.model_copy(update={"split": old})})


def model_parts(*folders: Path | None) -> dict[str, Path]:
    """Files of a model in these folders, by name; a later folder's file replaces that of an earlier one."""
    return {path.name: path for folder in folders if folder is not None for path in folder.iterdir()
            if path.name in PARTS}  # fmt: skip


def load_parts(
    config: RetrainConfig, parts: Mapping[str, Path], device: str = "auto", precision: str = "float32"
) -> TrainedModel:
    """A model from its files, in any folders; an unfinished model has only the files of the steps so far.

    Args:
        config: of the job.
        parts: names in `PARTS` -> files.
        device: auto, cpu, or a GPU by name.
        precision: as for `load_model`.

    Raises:
        FileNotFoundError, ValueError, RuntimeError, SafetensorError: a file is missing or damaged, or the parts do not
            fit together.
    """
    target = resolve_device(device)
    preprocessor, weights = Preprocessor.read(_part(parts, PREPROCESSOR)), read_tensors(_part(parts, NETWORK))
    require_preprocessor(preprocessor)
    require_weights(config, sum(values.numel() for values in weights.values()))
    network = build_network(sizes=preprocessor.sizes, model=config.model)
    load_weights(network, weights, NETWORK)
    network = network.to(target).eval()
    network.precision = resolve_precision(precision, target)
    probe = _load_probe(parts[PROBE], target) if PROBE in parts else None
    head = load_head(parts[HEAD_FILE], preprocessor, target) if HEAD_FILE in parts else None
    fitted = _load_uncertainty(parts[UNCERTAINTY], preprocessor, target) if UNCERTAINTY in parts else None
    generator = load_generator(parts, network, preprocessor, config) if GENERATOR in parts else None
    profile = _load_profile(parts) if PROFILE in parts else None
    intervals = load_intervals(parts[INTERVALS], target) if INTERVALS in parts else None
    sets = load_sets(parts[SETS]) if SETS in parts else None
    compact = load_compact(parts[VECTORS], target) if VECTORS in parts else None
    model = TrainedModel(
        config, preprocessor, network, probe, fitted, generator, profile, head, intervals, sets, compact
    )
    require_sound(model)
    return model


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turns errors of reading a model into a `ModelError`."""
    try:
        yield
    except ModelError:
        raise
    except FileNotFoundError as error:
        if not folder.exists():
            raise ModelError(f"There is no folder {folder}.", fix="Check the path.") from None
        raise ModelError(f"{folder} holds no complete model: {Path(error.filename).name} is missing.") from None
    except MemoryError:
        raise ModelError(f"The model in {folder} does not fit into memory.") from None
    except Exception as error:
        reason = " ".join(str(error).split())[:300]  # torch lists every weight that does not fit
        raise ModelError(
            f"The model in {folder} cannot be read: {reason}.", fix="Was it written by this version?"
        ) from error


def _load_probe(path: Path, device: torch.device) -> LinearProbe:
    tensors, plain = read_file(path, device)
    return LinearProbe(**tensors, l2=float(plain["l2"]))


def _load_uncertainty(path: Path, preprocessor: Preprocessor, device: torch.device) -> FittedUncertainty:
    tensors, plain = read_file(path, device)
    certificate = Certificate.model_validate_json(plain["certificate"]) if "certificate" in plain else None
    own = {name.removeprefix(f"{FACTS}."): value for name, value in tensors.items() if name.startswith(f"{FACTS}.")}
    heads, resampled = unpacked(own, plain.get(FACTS, "[]"), preprocessor), int(plain.get(RESAMPLED, "0"))
    return FittedUncertainty.from_tensors(
        tensors, temperature=float(plain["temperature"]), measure=plain["measure"], reason=plain["reason"],
        certificate=certificate, second=heads[0] if len(heads) > resampled else None,
        resampled=tuple(heads[len(heads) - resampled :]),
        error_inputs=tuple(filter(None, plain.get("error_inputs", "").split(","))),
    )  # fmt: skip


def _load_profile(parts: Mapping[str, Path]) -> Profile:
    counts = Counts.model_validate_json(parts[PROFILE].read_text(encoding="utf-8"))
    return Profile(counts, Directions(**read_tensors(_part(parts, DIRECTIONS))))


def _part(parts: Mapping[str, Path], name: str) -> Path:
    if name not in parts:
        raise FileNotFoundError(2, "missing", name)
    return parts[name]


def model_digest(folder: Path) -> str:
    """SHA-256 over the identity of a model: its files, and the `SETTINGS` of its configuration that it still reads.

    Two jobs that differ only in settings that do not affect the model, such as the gate, have the same digest.

    Raises:
        ModelError: no model there, or its configuration cannot be read.
    """
    with _readable(folder):
        # Of the sizes, the numbers count and not what they are called.
        settings = result_settings(load_config_of(folder), *SETTINGS, without=("model.size",))
        total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        # Sorted by name, as folders list their files in any order.
        for name, path in sorted(model_parts(folder).items()):
            total.update(name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
