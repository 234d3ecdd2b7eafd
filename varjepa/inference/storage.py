"""A trained model as a folder: JSON and safetensors, plain data, nothing pickled."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from varjepa.config import RetrainConfig, parse_config
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.tensors.bars import Bars, Cells
from varjepa.errors import ModelError
from varjepa.evaluation.probe import LinearProbe
from varjepa.evaluation.uncertainty.certificate import Certificate
from varjepa.inference.drift_reference import Counts, Directions, Profile
from varjepa.inference.generator.reference import Reference
from varjepa.inference.generator.table_generator import TableGenerator
from varjepa.inference.measures import FittedUncertainty
from varjepa.inference.model import TrainedModel
from varjepa.models.generator import Generator
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import build_network
from varjepa.training.device import resolve_device, resolve_precision

FORMAT = "2"
"""Version of the folder's layout; a model of another one is refused, not guessed at."""

CONFIG, PREPROCESSOR, NETWORK, PROBE = "config.json", "preprocessor.json", "network.safetensors", "probe.safetensors"
UNCERTAINTY, GENERATOR, BARS, REFERENCE = "doubt.safetensors", "generator.safetensors", "bars.json", "reference.json"
PROFILE, DIRECTIONS = "profile.json", "profile.safetensors"


def save_model(folder: Path, model: TrainedModel) -> None:
    """Writes the model as JSON and safetensors: plain data, nothing pickled."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(model.config.model_dump_json(indent=1), encoding="utf-8")
    (folder / PREPROCESSOR).write_text(model.preprocessor.model_dump_json(), encoding="utf-8")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    metadata = {"format": FORMAT, "kind": model.config.model.kind, "features": json.dumps(model.preprocessor.names)}
    _write(folder / NETWORK, weights, metadata)
    if model.probe is not None:
        tensors = {name: value.cpu().contiguous() for name, value in model.probe.tensors().items()}
        _write(folder / PROBE, tensors, {"format": FORMAT, "l2": repr(model.probe.l2)})
    if model.fitted is not None:
        save_uncertainty(folder / UNCERTAINTY, model.fitted)
    if model.generator is not None:
        save_generator(folder, model.generator)
    if model.profile is not None:
        save_profile(folder, model.profile)


def save_uncertainty(path: Path, fitted: FittedUncertainty) -> None:
    """Writes arrays, and the rest as metadata."""
    tensors = {name: value.cpu().contiguous() for name, value in fitted.tensors().items()}
    metadata = {"format": FORMAT, "temperature": repr(fitted.temperature), "measure": fitted.measure}
    metadata |= {"reason": fitted.reason}
    if fitted.certificate is not None:
        metadata["certificate"] = fitted.certificate.model_dump_json()
    _write(path, tensors, metadata)


def save_generator(folder: Path, generator: TableGenerator) -> None:
    """Writes the generator's weights, its bars and its reference."""
    weights = {name: value.cpu().contiguous() for name, value in generator.generator.state_dict().items()}
    _write(folder / GENERATOR, weights, {"format": FORMAT})
    (folder / BARS).write_text(json.dumps([bars.model_dump() for bars in generator.bars]), encoding="utf-8")
    (folder / REFERENCE).write_text(generator.reference.model_dump_json(), encoding="utf-8")


def save_profile(folder: Path, profile: Profile) -> None:
    """Writes counts as JSON, directions as arrays."""
    (folder / PROFILE).write_text(profile.counts.model_dump_json(), encoding="utf-8")
    tensors = {name: value.cpu().contiguous() for name, value in profile.directions._asdict().items()}
    _write(folder / DIRECTIONS, tensors, {"format": FORMAT})


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes safetensors of which the same content gives the same bytes: the library shuffles the metadata."""
    content = save(tensors, metadata)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header | {"__metadata__": dict(sorted(metadata.items()))}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at multiples of eight
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def load_model(folder: Path, device: str = "auto", precision: str = "float32") -> TrainedModel:
    """Reads what `save_model` wrote.

    Args:
        folder: the model's folder.
        device: auto, cpu, or a GPU by name.
        precision: of the matrix products: float32, bfloat16, or auto (bfloat16 where the device has it).

    Raises:
        ModelError: no model there, a damaged file, or another format.
    """
    target = resolve_device(device)
    try:
        config = parse_config(json.loads((folder / CONFIG).read_text(encoding="utf-8")), str(folder / CONFIG))
        preprocessor = Preprocessor.read(folder / PREPROCESSOR)
        network = build_network(sizes=preprocessor.sizes, model=config.model)
        network.load_state_dict(_load_weights(folder / NETWORK))
        network = network.to(target).eval()
        network.precision = resolve_precision(precision, target)
        probe, fitted = _load_probe(folder / PROBE, target), _load_uncertainty(folder / UNCERTAINTY, target)
        generator = load_generator(folder, network, preprocessor, config) if (folder / GENERATOR).is_file() else None
        profile = _load_profile(folder) if (folder / PROFILE).is_file() else None
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no complete model: {Path(error.filename).name} is missing.") from None
    except (ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"The model in {folder} cannot be read: {reason}.", fix="Was it written by this version?"
        ) from error
    return TrainedModel(config, preprocessor, network, probe, fitted, generator, profile)


def _load_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(2, "missing", str(path))
    with safe_open(path, framework="pt") as file:
        written = (file.metadata() or {}).get("format")
    if written != FORMAT:
        raise ValueError(f"its format is {written}, this version reads {FORMAT}")
    return load_file(path)


def _load_probe(path: Path, device: torch.device) -> LinearProbe | None:
    if not path.is_file():
        return None
    with safe_open(path, framework="pt", device=str(device)) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        return LinearProbe(**tensors, l2=float((file.metadata() or {})["l2"]))


def _load_uncertainty(path: Path, device: torch.device) -> FittedUncertainty | None:
    if not path.is_file():
        return None
    with safe_open(path, framework="pt", device=str(device)) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        plain = file.metadata() or {}
    certificate = Certificate.model_validate_json(plain["certificate"]) if "certificate" in plain else None
    return FittedUncertainty.from_tensors(
        tensors, temperature=float(plain["temperature"]), measure=plain["measure"], reason=plain["reason"],
        certificate=certificate,
    )  # fmt: skip


def _load_profile(folder: Path) -> Profile:
    counts = Counts.model_validate_json((folder / PROFILE).read_text(encoding="utf-8"))
    return Profile(counts, Directions(**_load_weights(folder / DIRECTIONS)))


def load_generator(
    folder: Path, network: TableNetwork, preprocessor: Preprocessor, config: RetrainConfig
) -> TableGenerator:
    """Reads what `save_generator` wrote, onto the network's device.

    Raises:
        FileNotFoundError, ValueError, RuntimeError: an incomplete or damaged folder.
    """
    bars = tuple(Bars.model_validate(one) for one in json.loads((folder / BARS).read_text(encoding="utf-8")))
    reference = Reference.model_validate_json((folder / REFERENCE).read_text(encoding="utf-8"))
    sizes = Cells(bars, preprocessor.sizes.cardinalities).sizes
    generator = Generator(
        sizes=sizes, d_token=network.d_hidden, n_layers=config.generator.n_layers, n_heads=config.model.n_heads
    )
    generator.load_state_dict(_load_weights(folder / GENERATOR))
    device = next(network.parameters()).device
    return TableGenerator(network, generator.to(device).eval(), bars, preprocessor, reference)


def folder_digest(folder: Path) -> str:
    """SHA-256 over the files of a model folder."""
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
