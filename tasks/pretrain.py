"""Step 4: learn the embedding, without labels; keep the best epoch."""

import json
from dataclasses import dataclass
from pathlib import Path

from prefect import task
from safetensors.torch import load_file, save_file

from tasks.prepare import Prepared
from tasks.progress import training_progress
from tasks.steps import log, reuse, step_folder, write_text
from tasks.tracking import CurveLogger
from varjepa.config import RetrainConfig
from varjepa.data.encoded import Part, read_part
from varjepa.data.preprocess import Preprocessor
from varjepa.data.splits import PARTS
from varjepa.evaluation.selection import ProbeEvaluator, RankMeEvaluator
from varjepa.models.kinds import new_network
from varjepa.models.network import TableNetwork
from varjepa.training.device import resolve_device
from varjepa.training.loop import Evaluator, Trainer

SECTIONS = {"model", "masking", "objective", "training"}
"""Parts of the configuration that pretraining depends on, beside the encoded data."""


@dataclass(frozen=True)
class Pretrained:
    """A trained network.

    Attributes:
        weights: safetensors file.
        history: JSON file with the metrics of every epoch.
        best_epoch: from 0.
        stopped_early: whether patience ran out.
    """

    weights: Path
    history: Path
    best_epoch: int
    stopped_early: bool

    def curves(self) -> list[dict[str, float]]:
        """Metrics per epoch."""
        return json.loads(self.history.read_text(encoding="utf-8"))

    def network(self, preprocessor: Preprocessor, config: RetrainConfig) -> TableNetwork:
        """The network with its trained weights, in evaluation mode, on the CPU."""
        network = new_network(preprocessor.sizes, config)
        network.load_state_dict(load_file(self.weights))
        return network.eval()


@task(name="pretrain", task_run_name="pretrain {config.model.kind}")
def pretrain(prepared: Prepared, config: RetrainConfig, run_id: str) -> Pretrained:
    """Trains a network; resumes from a checkpoint that an interrupted run left. Curves go to the tracking run."""
    uncertainty = config.uncertainty.model_dump() if config.training.selection == "selective_probe" else None
    settings = config.model_dump(mode="json", include=SECTIONS)
    folder = step_folder("pretrain", str(prepared.encoded), settings, uncertainty, code=__name__)
    curves = CurveLogger(run_id, config.tracking)
    pretrained = reuse(folder, Pretrained, lambda: _pretrain(prepared, config, folder, curves))
    for metrics in pretrained.curves():
        curves.log(metrics)
    log.info("selected epoch %d of %d", pretrained.best_epoch + 1, len(pretrained.curves()))
    return pretrained


def _pretrain(prepared: Prepared, config: RetrainConfig, folder: Path, curves: CurveLogger) -> Pretrained:
    preprocessor = Preprocessor.model_validate_json(prepared.preprocessor.read_text(encoding="utf-8"))
    device = resolve_device(config.training.device)
    parts = [read_part(prepared.encoded, preprocessor, name).to(device) for name in ("train", "validation")]
    network = new_network(preprocessor.sizes, config).to(device)
    seen = parts[0].table
    if config.data.split.seen == "all":
        seen = read_part(prepared.encoded, preprocessor, *PARTS).to(device).table
    checkpoint = folder / "checkpoint.pt"
    trainer = Trainer(
        network=network, tables=(seen, parts[1].table), objective=config.objective, masking=config.masking,
        training=config.training, evaluate=_evaluator(parts, preprocessor, config), checkpoint=checkpoint,
    )  # fmt: skip
    with training_progress(config.training.max_epochs, seen.n_rows) as progress:

        def on_epoch(metrics: dict[str, float]) -> None:
            curves.log(metrics)
            progress.on_epoch(metrics)

        trained = trainer.fit(on_epoch, progress.on_progress)
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "network.safetensors")
    write_text(folder / "history.json", json.dumps(trained.history))
    checkpoint.unlink(missing_ok=True)
    return Pretrained(
        folder / "network.safetensors", folder / "history.json", trained.best_epoch, trained.stopped_early
    )


def _evaluator(parts: list[Part], preprocessor: Preprocessor, config: RetrainConfig) -> Evaluator | None:
    """Scores epochs as `training.selection` says; None means by validation ELBO."""
    label, training, deterministic = preprocessor.label, config.training, config.model.kind == "t_jepa"
    if training.selection in ("elbo", "rankme") or label is None:
        return _unlabelled(parts[1], config)
    train, validation = (part.labelled().sample(training.eval_rows, training.seed) for part in parts)
    if not len(validation.labels):
        log.warning("No validation row has a label: the epoch is selected without one.")
        return _unlabelled(parts[1], config)
    return ProbeEvaluator(
        train.table, train.labels, validation.table, validation.labels, len(label.classes),
        training.selection == "selective_probe", config.uncertainty.aggregate, rank=deterministic,
    )  # fmt: skip


def _unlabelled(validation: Part, config: RetrainConfig) -> Evaluator | None:
    """T-JEPA's own objective can be had by collapse, so RankMe takes its place."""
    if config.training.selection == "rankme" or config.model.kind == "t_jepa":
        return RankMeEvaluator(validation.sample(config.training.eval_rows, config.training.seed).table)
    return None
