"""Step 6: measure the frozen embedding by a linear probe, compare with raw columns, and choose the head that ships."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from varjepa.config import RetrainConfig
from varjepa.data.encode.encoded import Part, read_sample
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.inference.diagnostics import embedding_points, latent_metrics, objective_metrics
from varjepa.inference.heads.head import name_of
from varjepa.inference.heads.linear import LinearHead
from varjepa.inference.heads.storage import HEAD_FILE, save_head
from varjepa.inference.interval_storage import save_intervals
from varjepa.inference.kept_embeddings import fresh
from varjepa.inference.model import TrainedModel
from varjepa.inference.probing import Probes, against_raw, fit_probes, predict_rows, probe_metrics
from varjepa.inference.storage import save_probe, save_uncertainty
from varjepa.tasks.retrain.embeddings import embedder_of
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.json_text import json_text
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("probe", __name__, settings=("probe", "uncertainty.aggregate", "uncertainty.ensemble"))

HEADS_FILE = "heads.json"
"""Mean losses that the choice of the head rests on, by the rows that they are of."""

LATENT_ROWS = 5000
"""Number of first test rows for the diagnostics of the embedding."""


@dataclass(frozen=True)
class Probed:
    """The probe, the head, and their predictions for the test rows.

    Attributes:
        folder: with the files of probe and head (see `varjepa.inference.storage`); without a label there are none.
        predictions: Parquet file, one row per test row (see `varjepa.inference.probing.predict_rows`).
        points: npy file [N, 2], map of the first test rows.
        metrics: probe/..., raw/..., boosted/..., head/..., elbo/... or prediction/..., latent/....
        decisions: the head that ships and why, as text for people.
    """

    folder: Path
    predictions: Path
    points: Path
    metrics: dict[str, float]
    decisions: dict[str, str]

    @property
    def choice(self) -> dict[str, Path]:
        """The file of losses that the choice of the head rests on, for the run; none without a label."""
        file = self.folder / HEADS_FILE
        return {"": file} if file.is_file() else {}


@task(name="probe", task_run_name="probe")
def probe(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig) -> Probed:
    """Fits probes and heads on training rows, chooses by rows left out and validation rows, measures on test rows."""
    folder = STEP.folder(config, str(pretrained.weights))
    return reuse(folder, Probed, lambda: _probe(prepared, pretrained, config, folder))


def _probe(prepared: Prepared, pretrained: Pretrained, config: RetrainConfig, folder: Path) -> Probed:
    preprocessor = Preprocessor.read(prepared.preprocessor)
    network = pretrained.network(preprocessor, config)
    test = measured_part(prepared, preprocessor, "test", config).to(network.device)
    model, baselines, embedder = TrainedModel(config, preprocessor, network, None), {}, fresh(network)
    decisions: dict[str, str] = {}
    if preprocessor.label is not None:
        train, validation = (_labelled(prepared, preprocessor, name, config).to(network.device)
                             for name in ("train", "validation"))  # fmt: skip
        embedder = embedder_of(prepared, pretrained, config, network, "train", "validation", "test")
        probes = fit_probes(embedder, preprocessor, config, train=train, validation=validation)
        model = _with(model, probes, folder)
        baselines, decisions = probes.baselines, {"head": f"{name_of(probes.chosen.head)}: {probes.chosen.reason}"}
        losses = {probes.chosen.rows: probes.chosen.losses}
        write_text(folder / HEADS_FILE, json_text(losses, indent=1))
    predictions, embedding = predict_rows(model, baselines, test, keep=LATENT_ROWS, embedder=embedder)
    predictions.write_parquet(folder / "predictions.parquet")
    np.save(folder / "points.npy", embedding_points(embedding).cpu().numpy())
    group, metrics = objective_metrics(model, test.table)
    # Beside the test value, that of the selected epoch: a gap shows how much the selection flatters.
    metrics[f"{group}/val"] = pretrained.curves()[pretrained.best_epoch][f"validation/{group}"]
    labelled = probe_metrics(predictions, preprocessor.label)
    if labelled:
        decisions["raw columns"] = against_raw(predictions, labelled)
    metrics |= labelled | latent_metrics(model, test.table, embedding)
    write_text(folder / "metrics.json", json.dumps(metrics))
    return Probed(folder, folder / "predictions.parquet", folder / "points.npy", metrics, decisions)


def _with(model: TrainedModel, probes: Probes, folder: Path) -> TrainedModel:
    """The model with its probe and head, whose files are written into the folder."""
    save_probe(folder, probes.linear)
    if probes.fitted is not None:
        save_uncertainty(folder, probes.fitted)
    if probes.intervals is not None:
        save_intervals(folder, probes.intervals)
    head = probes.chosen.head
    ships = isinstance(head, LinearHead) and head.features == "embedding"
    (folder / HEAD_FILE).unlink(missing_ok=True)  # left by a killed run
    if not ships:
        save_head(folder, head)
    return replace(model, probe=probes.linear, fitted=probes.fitted, chosen_head=None if ships else head,
                   intervals=probes.intervals)  # fmt: skip


def measured_part(prepared: Prepared, preprocessor: Preprocessor, name: str, config: RetrainConfig) -> Part:
    """The rows of a part on which a model is measured: all, or a sample of a very large part."""
    return read_sample(prepared.encoded, preprocessor, name, most=config.probe.max_test_rows, seed=config.training.seed)


def _labelled(prepared: Prepared, preprocessor: Preprocessor, name: str, config: RetrainConfig) -> Part:
    """Rows of a part whose label can be learned, at most `probe.max_rows`."""
    most, seed = config.probe.max_rows, config.training.seed
    return read_sample(prepared.encoded, preprocessor, name, most=most, seed=seed, learnable=True)
