"""A trained model as one object: raw rows in, embeddings, uncertainty and predictions out."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from varjepa.config import RetrainConfig, parse_config
from varjepa.data.bars import Bars, Cells
from varjepa.data.preprocess import Preprocessor
from varjepa.data.table import TableTensors
from varjepa.data.tensors import to_tensors
from varjepa.errors import DataError, ModelError
from varjepa.evaluation.certificate import Certificate
from varjepa.evaluation.probe import LinearProbe
from varjepa.inference.fill import Imputation, Imputer, Sampler, outside_range
from varjepa.inference.generation import Reference, TableGenerator, batches
from varjepa.inference.measures import Doubt, Measures
from varjepa.models.embedding import Embedding, embed, row_uncertainty
from varjepa.models.generator import Generator
from varjepa.models.kinds import build_network
from varjepa.models.network import TableNetwork
from varjepa.nn.random import initial_weights
from varjepa.training.device import resolve_device

FORMAT = "2"
"""Version of the folder's layout; a model of another one is refused, not guessed at."""

CONFIG, PREPROCESSOR, NETWORK, PROBE = "config.json", "preprocessor.json", "network.safetensors", "probe.safetensors"
DOUBT, GENERATOR, BARS, REFERENCE = "doubt.safetensors", "generator.safetensors", "bars.json", "reference.json"
ANOMALY_COLUMNS = 3
"""How many of a row's oddest columns are named."""


@dataclass(frozen=True)
class TrainedModel:
    """Preprocessor and network with the configuration that made them, and what was learned on top of them.

    Attributes:
        config: of the job.
        preprocessor: fitted on the training rows.
        network: in evaluation mode, on its device.
        probe: linear probe on flattened embeddings; None without a label.
        doubt: how sure the probe is; None without classes.
        generator: says what missing cells may be; None where the configuration leaves it out.
    """

    config: RetrainConfig
    preprocessor: Preprocessor
    network: TableNetwork
    probe: LinearProbe | None
    doubt: Doubt | None = None
    generator: TableGenerator | None = None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def encode(self, frame: pl.DataFrame) -> TableTensors:
        """Raw rows as tensors on the network's device; labels and unknown columns are ignored.

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
        return to_tensors(encoded, self.preprocessor).to(self.device)

    def embed(self, frame: pl.DataFrame, batch_size: int = 1024) -> Embedding:
        """Embeds raw rows, in their order.

        Raises:
            DataError: see `encode`.
        """
        return embed(self.network, self.encode(frame), batch_size)

    def latent_uncertainty(self, embedding: Embedding) -> Tensor | None:
        """Uncertainty [N] from the scales of q(s_w | ...) alone, larger = less sure; None for kinds without scales.

        Weighted by what goes with errors of the probe, where there is one; otherwise `uncertainty.aggregate`.
        """
        if embedding.scale is None:
            return None
        if self.doubt is not None and self.doubt.error is not None:
            return self.doubt.error.predict(embedding.scale.log().flatten(1)).softmax(1)[:, 1]
        return row_uncertainty(embedding.scale, self.config.uncertainty.aggregate)

    def measures(self) -> Measures | None:
        """The uncertainty measures of the probe; None where there are no classes to be unsure of."""
        if self.probe is None or self.doubt is None:
            return None
        return Measures(self.network, self.probe, self.doubt, self.config.uncertainty, self.config.training.seed)

    def predict(self, frame: pl.DataFrame, batch_size: int = 1024) -> pl.DataFrame:
        """Embeds raw rows, asks the probe and says how sure it is.

        Args:
            frame: raw rows.
            batch_size: rows at a time; changes nothing but memory.

        Returns:
            One row per row: `embedding` (array of D * d floats); `uncertainty`, by the measure that ships (without
            classes: the latent one), and `latent_uncertainty`, where the model has them; with a probe `prediction`
            (class or value) and, for classes, `probability` (calibrated, of the predicted one) and, with a
            certificate, `accept`.

        Raises:
            DataError: see `encode`.
        """
        parts = [self._predict(frame[rows]) for rows in batches(max(frame.height, 1), batch_size)]
        return pl.concat(parts)

    def _predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        table = self.encode(frame)
        embedding = embed(self.network, table, max(table.n_rows, 1))
        flat = embedding.mean.flatten(1)
        columns = {"embedding": pl.Series(flat.cpu().numpy(), dtype=pl.Array(pl.Float32, flat.shape[1]))}
        latent, measures = self.latent_uncertainty(embedding), self.measures()
        if measures is not None:
            name = measures.doubt.measure
            columns["uncertainty"] = pl.Series(measures(table, embedding, [name])[name].cpu().numpy())
        elif latent is not None:
            columns["uncertainty"] = pl.Series(latent.double().cpu().numpy())
        if latent is not None:
            columns["latent_uncertainty"] = pl.Series(latent.double().cpu().numpy())
        return pl.DataFrame(columns | self._outputs(flat, columns.get("uncertainty")))

    def _outputs(self, flat: Tensor, uncertainty: pl.Series | None) -> dict[str, pl.Series]:
        """What the probe says of flat embeddings [N, F]."""
        label, measures = self.preprocessor.label, self.measures()
        if self.probe is None or label is None:
            return {}
        if not label.classes:
            return {"prediction": pl.Series(self.probe.predict(flat)[:, 0].double().cpu().numpy())}
        chances = self.probe.predict(flat).double().softmax(1) if measures is None else measures.probabilities(flat)
        probability, number = chances.cpu().max(1)
        names = pl.Series(label.classes, dtype=pl.String)
        columns = {"prediction": names.gather(number.numpy()), "probability": pl.Series(probability.numpy())}
        certificate = None if self.doubt is None else self.doubt.certificate
        if certificate is not None and uncertainty is not None:
            never = certificate.threshold is None
            columns["accept"] = (
                pl.repeat(value=False, n=len(uncertainty), eager=True)
                if never
                else (uncertainty <= certificate.threshold)
            )
        return columns

    def imputer(self, *, draws: int = 0, level: float = 0.9, seed: int = 0) -> Imputer:
        """Fills the gaps of tables that come in parts; see `Imputer`.

        Raises:
            ModelError: the model has no generator.
        """
        return Imputer(self._generator(), draws=draws, level=level, seed=seed)

    def impute(
        self, frame: pl.DataFrame, *, draws: int = 0, level: float = 0.9, seed: int = 0, batch_size: int = 1024
    ) -> Imputation:
        """Fills the gaps of a table; see `Imputation`.

        Args:
            frame: raw rows.
            draws: joint draws to make of all gaps.
            level: share of intervals that hold the truth, in (0, 1).
            seed: of the draws.
            batch_size: rows at a time; changes nothing but memory.

        Raises:
            DataError: see `encode`.
            ModelError: the model has no generator.
        """
        return self.imputer(draws=draws, level=level, seed=seed).impute(frame, self.encode(frame), batch_size)

    def sampler(self, *, seed: int = 0, gaps: bool = False) -> Sampler:
        """Draws rows that might have come from the table; see `Sampler`.

        Raises:
            ModelError: the model has no generator.
        """
        return Sampler(self._generator(), seed=seed, gaps=gaps)

    def anomalies(self, frame: pl.DataFrame, batch_size: int = 1024) -> pl.DataFrame:
        """How odd rows are, and which of their columns.

        Args:
            frame: raw rows.
            batch_size: rows at a time; changes nothing but memory.

        Returns:
            `anomaly` (the largest oddity of the row: minus the log of the share of reference cells that are at least
            as surprising given the rest of their row, nats), `odd_columns` (list, the oddest first) and one
            `oddity.FEATURE` per feature.

        Raises:
            DataError: see `encode`.
            ModelError: the model has no generator.
        """
        generator, names = self._generator(), self.preprocessor.names
        parts = []
        for rows in batches(max(frame.height, 1), batch_size):
            part = frame[rows]
            outside = outside_range(part, self.preprocessor).to(self.device)
            oddity = generator.oddity(generator.surprise(self.encode(part), outside)).numpy()
            top = np.argsort(-oddity, axis=1, kind="stable")[:, :ANOMALY_COLUMNS]
            odd = pl.Series("odd_columns", np.array(names, dtype=object)[top].tolist(), dtype=pl.List(pl.String))
            each = {f"oddity.{name}": pl.Series(oddity[:, j]) for j, name in enumerate(names)}
            parts.append(pl.DataFrame({"anomaly": pl.Series(oddity.max(1, initial=0.0)), "odd_columns": odd} | each))
        return pl.concat(parts)

    def _generator(self) -> TableGenerator:
        if self.generator is None:
            raise ModelError("The model has no generator.", fix="Train it with generator.n_layers above 0.")
        return self.generator


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
    if model.doubt is not None:
        save_doubt(folder / DOUBT, model.doubt)
    if model.generator is not None:
        save_generator(folder, model.generator)


def save_doubt(path: Path, doubt: Doubt) -> None:
    """Writes arrays, and the rest as metadata."""
    tensors = {name: value.cpu().contiguous() for name, value in doubt.tensors().items()}
    metadata = {"format": FORMAT, "temperature": repr(doubt.temperature), "measure": doubt.measure}
    metadata |= {"reason": doubt.reason}
    if doubt.certificate is not None:
        metadata["certificate"] = doubt.certificate.model_dump_json()
    save_file(tensors, path, metadata=metadata)


def save_generator(folder: Path, generator: TableGenerator) -> None:
    """Writes the generator's weights, its bars and its reference."""
    weights = {name: value.cpu().contiguous() for name, value in generator.generator.state_dict().items()}
    save_file(weights, folder / GENERATOR, metadata={"format": FORMAT})
    (folder / BARS).write_text(json.dumps([bars.model_dump() for bars in generator.bars]), encoding="utf-8")
    (folder / REFERENCE).write_text(generator.reference.model_dump_json(), encoding="utf-8")


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
        network.load_state_dict(_load_weights(folder / NETWORK))
        network = network.to(target).eval()
        probe, doubt = _load_probe(folder / PROBE, target), _load_doubt(folder / DOUBT, target)
        generator = load_generator(folder, network, preprocessor, config) if (folder / GENERATOR).is_file() else None
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no complete model: {Path(error.filename).name} is missing.") from None
    except (ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"The model in {folder} cannot be read: {reason}.", fix="Was it written by this version?"
        ) from error
    return TrainedModel(config, preprocessor, network, probe, doubt, generator)


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


def _load_doubt(path: Path, device: torch.device) -> Doubt | None:
    if not path.is_file():
        return None
    with safe_open(path, framework="pt", device=str(device)) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        plain = file.metadata() or {}
    certificate = Certificate.model_validate_json(plain["certificate"]) if "certificate" in plain else None
    return Doubt.from_tensors(
        tensors, temperature=float(plain["temperature"]), measure=plain["measure"], reason=plain["reason"],
        certificate=certificate,
    )  # fmt: skip


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
