"""Step 4: train the embedding without labels, and keep the best epoch."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from safetensors.torch import load_file

from varjepa.config import RetrainConfig, TrainingSection
from varjepa.data.encode.encoded import Part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PARTS
from varjepa.evaluation.epoch_evaluator import evaluation_rows, evaluator_for
from varjepa.evaluation.epoch_scores import AddedMetrics
from varjepa.models.network import TableNetwork
from varjepa.models.new_network import new_network
from varjepa.models.weights import NETWORK, save_network
from varjepa.tasks.joint_training.launch import TRAINED, Job, require_success, run_processes
from varjepa.tasks.joint_training.lead import train_together
from varjepa.tasks.joint_training.network import own_address
from varjepa.tasks.retrain.encoded_rows import EncodedRows
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.progress import training_progress, why_selected
from varjepa.tasks.steps.files import require_room, write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse
from varjepa.tasks.tracking.runs import CurveLogger
from varjepa.tasks.tracking.uris import tracking_uri
from varjepa.training.device import give_back_memory, resolve_device
from varjepa.training.distributed import World, local_device
from varjepa.training.loop import Evaluator, Trainer

STEP = Step("pretrain", __name__, settings=("model", "masking", "objective", "training", "data.split.seen"))

VALIDATION_ROWS = 1_000_000
"""Largest number of validation rows for the validation terms of a pass; larger parts are sampled."""

HISTORY, CHECKPOINT = "history.json", "checkpoint.pt"

MoreMetrics = Callable[[EncodedRows], Evaluator]
"""Makes an evaluator from the rows of a training."""


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
        """The network with its trained weights, in evaluation mode, on the job's device."""
        network = new_network(preprocessor.sizes, config)
        network.load_state_dict(load_file(self.weights))
        return network.to(resolve_device(config.training.device)).eval()


def require_machine(config: RetrainConfig) -> None:
    """Checks that this machine can train as the job says, before hours of other work.

    Raises:
        ConfigError: it has no such device, or other machines cannot learn its address.
    """
    resolve_device(config.training.device)
    if config.work.machines > 1:
        own_address(config.work.address, tracking_uri(config.tracking))


@task(name="pretrain", task_run_name="pretrain {config.model.kind}")
def pretrain(prepared: Prepared, config: RetrainConfig, run_id: str) -> Pretrained:
    """Trains a network; resumes from the checkpoint of an interrupted run. Curves go to the tracking run."""
    return trained_network(prepared, config, CurveLogger(run_id, config.tracking))


def trained_network(
    prepared: Prepared, config: RetrainConfig, curves: CurveLogger, more: MoreMetrics | None = None
) -> Pretrained:
    """Trains a network, or reuses the result of the same training.

    Args:
        prepared: the encoded rows.
        config: of the job.
        curves: receives the metrics of every epoch at least once; an exception of its ends the training, and leaves the
            checkpoint.
        more: makes an evaluator whose metrics join those of each epoch; they select nothing. It is not called where
            several processes train.
    """
    folder = training_folder(prepared, config)
    job = Job(prepared.encoded, prepared.preprocessor, folder, curves.run_id)
    pretrained = reuse(folder, Pretrained, lambda: _pretrain(job, config, curves, more))
    # A reused training has not logged to this run; epochs that are already logged are skipped.
    for metrics in pretrained.curves():
        curves.log(metrics)
    log.info("%s", why_selected(pretrained.curves(), pretrained.best_epoch, config.training.tie_share))
    return pretrained


def training_folder(prepared: Prepared, config: RetrainConfig) -> Path:
    """The folder of this training, its checkpoint included."""
    # The result depends on this setting only through the score of an epoch.
    aggregate = config.uncertainty.aggregate if config.training.selection == "selective_probe" else None
    return STEP.folder(config, str(prepared.encoded), aggregate)


def _pretrain(job: Job, config: RetrainConfig, curves: CurveLogger, more: MoreMetrics | None) -> Pretrained:
    if config.work.machines == 1 and config.training.devices == 1:
        pretrained = train(job, config, World(), curves, more)
        give_back_memory()
        return pretrained
    if config.work.machines > 1:
        train_together(job, config, __name__)
    else:
        require_success(run_processes(job, config), job, config)
    curves.look()
    return TypeAdapter(Pretrained).validate_json((job.folder / TRAINED).read_bytes())


def train(
    job: Job, config: RetrainConfig, world: World, curves: CurveLogger | None, more: MoreMetrics | None = None
) -> Pretrained:
    """Trains in this process, alone or as one of a world; only the leading process, the one with curves, writes."""
    preprocessor = Preprocessor.read(job.preprocessor)
    device, folder = local_device(resolve_device(config.training.device)), job.folder
    network = new_network(preprocessor.sizes, config).to(device)
    # Under the paper's protocol the encoder sees all rows, those of the test part included.
    parts, shards = PARTS if config.data.split.seen == "all" else PARTS[:1], folder / "shards"
    rows = EncodedRows(job.encoded, preprocessor, config.training, device)
    seen, checkpoint = rows.source(parts, shards, world), folder / CHECKPOINT
    tables = seen, rows.at_most("validation", validation_rows(config.training))
    evaluate = _evaluator(rows, network, config)
    if more is not None:
        evaluate = AddedMetrics(evaluate, more(rows))
    # The checkpoint has the weights twice and two moments of each; it is written beside its predecessor.
    size = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    require_room(folder, 8 * size, "the checkpoint")
    trainer = Trainer(
        network=network, tables=tables, objective=config.objective, masking=config.masking,
        training=config.training, evaluate=evaluate, checkpoint=checkpoint, world=world,
    )  # fmt: skip
    if curves is None:
        trained = trainer.fit(lambda *_: None, lambda *_: None)
        return Pretrained(folder / NETWORK, folder / HISTORY, trained.best_epoch, trained.stopped_early)
    with training_progress(config.training.max_epochs, trainer.epochs.rows(0)) as progress:

        def on_epoch(metrics: dict[str, float]) -> None:
            curves.log(metrics)
            progress.on_epoch(metrics)

        trained = trainer.fit(on_epoch, progress.on_progress)
    save_network(folder, network, kind=config.model.kind, names=preprocessor.names)
    write_text(folder / HISTORY, json.dumps(trained.history))
    checkpoint.unlink(missing_ok=True)
    shutil.rmtree(shards, ignore_errors=True)
    return Pretrained(folder / NETWORK, folder / HISTORY, trained.best_epoch, trained.stopped_early)


def validation_rows(training: TrainingSection) -> int:
    """Largest number of validation rows for the validation terms of an epoch.

    By default there are six times as many training rows. Validation should not dominate an epoch of few rows.

    Examples:
        >>> validation_rows(TrainingSection()), validation_rows(TrainingSection(epoch_rows=600_000))
        (1000000, 100000)
    """
    if training.epoch_rows is None:
        return VALIDATION_ROWS
    return min(VALIDATION_ROWS, max(training.eval_rows, training.epoch_rows // 6))


def _evaluator(rows: EncodedRows, network: TableNetwork, config: RetrainConfig) -> Evaluator | None:
    """What selects the epoch; None is the validation ELBO."""
    most = evaluation_rows(config.training, rows.preprocessor.sizes.n_features)

    def sample(part: str, *, learnable: bool) -> Part:
        return rows.sample(part, most, learnable=learnable)

    return evaluator_for(sample, rows.preprocessor.label, network, config)
