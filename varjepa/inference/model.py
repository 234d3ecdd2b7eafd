"""A trained model as one object: raw rows in, embeddings, uncertainty and predictions out."""

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from varjepa.config import RetrainConfig, parse_config
from varjepa.data.preprocess import Preprocessor
from varjepa.data.tensors import to_tensors
from varjepa.errors import DataError, ModelError
from varjepa.evaluation.probe import LinearProbe
from varjepa.models.embedding import Embedding, embed, row_uncertainty
from varjepa.models.kinds import build_network
from varjepa.models.network import TableNetwork
from varjepa.nn.random import initial_weights
from varjepa.training.device import resolve_device

FORMAT = "1"
"""Version of the folder's layout; a model of another one is refused, not guessed at."""

CONFIG, PREPROCESSOR, NETWORK, PROBE = "config.json", "preprocessor.json", "network.safetensors", "probe.safetensors"


@dataclass(frozen=True)
class TrainedModel:
    """Preprocessor, network and probe, with the configuration that made them.

    Attributes:
        config: of the job.
        preprocessor: fitted on the training rows.
        network: in evaluation mode, on its device.
        probe: linear probe on flattened embeddings; None without a label.
    """

    config: RetrainConfig
    preprocessor: Preprocessor
    network: TableNetwork
    probe: LinearProbe | None

    def embed(self, frame: pl.DataFrame, batch_size: int = 1024) -> Embedding:
        """Embeds raw rows, in their order; labels and unknown columns are ignored.

        Raises:
            DataError: a feature column is missing, or holds text where numbers were learned.
        """
        try:
            encoded = self.preprocessor.encode(frame.lazy()).collect()
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(
                f"The rows cannot be encoded: {reason}.", expected="Expected the types of training."
            ) from error
        device = next(self.network.parameters()).device
        return embed(self.network, to_tensors(encoded, self.preprocessor).to(device), batch_size)

    def uncertainty(self, embedding: Embedding) -> Tensor | None:
        """Latent uncertainty [N] of embedded rows, larger = less sure; None for kinds of model without scales."""
        if embedding.scale is None:
            return None
        return row_uncertainty(embedding.scale, self.config.uncertainty.aggregate)

    def predict(self, frame: pl.DataFrame, batch_size: int = 1024) -> pl.DataFrame:
        """Embeds raw rows and asks the probe.

        Args:
            frame: raw rows.
            batch_size: rows at a time; changes nothing but memory.

        Returns:
            One row per row: `embedding` (array of D * d floats), `uncertainty` where the model has one, and with a
            probe `prediction` (class or value) and, for classes, `probability` (of the predicted one).

        Raises:
            DataError: see `embed`.
        """
        parts = [
            self._predict(frame[i : i + batch_size], batch_size) for i in range(0, max(frame.height, 1), batch_size)
        ]
        return pl.concat(parts)

    def _predict(self, frame: pl.DataFrame, batch_size: int) -> pl.DataFrame:
        embedding = self.embed(frame, batch_size)
        flat = embedding.mean.flatten(1)
        width = flat.shape[1]
        out = pl.DataFrame({"embedding": pl.Series(flat.cpu().numpy(), dtype=pl.Array(pl.Float32, width))})
        uncertainty = self.uncertainty(embedding)
        if uncertainty is not None:
            out = out.with_columns(uncertainty=pl.Series(uncertainty.cpu().numpy()))
        label = self.preprocessor.label
        if self.probe is None or label is None:
            return out
        output = self.probe.predict(flat).cpu()
        if not label.classes:
            return out.with_columns(prediction=pl.Series(output[:, 0].double().numpy()))
        probability, number = output.double().softmax(1).max(1)
        names = pl.Series(label.classes, dtype=pl.String)
        return out.with_columns(prediction=names.gather(number.numpy()), probability=pl.Series(probability.numpy()))


def new_network(preprocessor: Preprocessor, config: RetrainConfig) -> TableNetwork:
    """An untrained network whose initial weights depend on `training.seed` alone."""
    with initial_weights(config.training.seed):
        return build_network(sizes=preprocessor.sizes, model=config.model)


def save_model(folder: Path, model: TrainedModel) -> None:
    """Writes the model as JSON and safetensors: plain data, nothing pickled."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(model.config.model_dump_json(indent=1), encoding="utf-8")
    (folder / PREPROCESSOR).write_text(model.preprocessor.model_dump_json(), encoding="utf-8")
    weights = {name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()}
    metadata = {"format": FORMAT, "kind": model.config.model.kind, "features": json.dumps(model.preprocessor.names)}
    save_file(weights, folder / NETWORK, metadata=metadata)
    if model.probe is not None:
        tensors = {name: value.cpu().contiguous() for name, value in model.probe.tensors().items()}
        save_file(tensors, folder / PROBE, metadata={"format": FORMAT, "l2": repr(model.probe.l2)})


def load_model(folder: Path, device: str = "auto") -> TrainedModel:
    """Reads what `save_model` wrote.

    Args:
        folder: the model's folder.
        device: auto, cpu, or a GPU by name.

    Raises:
        ModelError: no model there, a damaged file, or another format.
    """
    target = resolve_device(device)
    try:
        config = parse_config(json.loads((folder / CONFIG).read_text(encoding="utf-8")), str(folder / CONFIG))
        preprocessor = Preprocessor.model_validate_json((folder / PREPROCESSOR).read_text(encoding="utf-8"))
        network = build_network(sizes=preprocessor.sizes, model=config.model)
        network.load_state_dict(_load_network(folder / NETWORK))
        probe = _load_probe(folder / PROBE, target)
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no complete model: {Path(error.filename).name} is missing.") from None
    except (ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"The model in {folder} cannot be read: {reason}.", fix="Was it written by this version?"
        ) from error
    return TrainedModel(config, preprocessor, network.to(target).eval(), probe)


def _load_network(path: Path) -> dict[str, Tensor]:
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
