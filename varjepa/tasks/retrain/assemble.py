"""Step 10: collect the files of all steps in one folder, the finished model."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.inference.manifest import write_manifest
from varjepa.inference.storage import FILES, model_parts, save_config
from varjepa.tasks.retrain.calibrate import Calibrated
from varjepa.tasks.retrain.compact import Compacted
from varjepa.tasks.retrain.generate import Generated
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained
from varjepa.tasks.retrain.probe import Probed
from varjepa.tasks.retrain.reference import Referenced
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Step, reuse

STEP = Step("assemble", __name__)


@dataclass(frozen=True)
class Assembled:
    """A finished model.

    Attributes:
        model: its folder (see `varjepa.inference.storage`).
    """

    model: Path


@task(name="assemble", task_run_name="assemble")
def assemble(
    prepared: Prepared,
    pretrained: Pretrained,
    *,
    generated: Generated,
    compacted: Compacted,
    probed: Probed,
    calibrated: Calibrated,
    referenced: Referenced,
    config: RetrainConfig,
) -> Assembled:
    """Copies the files of the steps and the configuration into one folder; no model is loaded or saved for it."""
    # Later folders win where two have a file of the same name.
    parts = model_parts(
        prepared.preprocessor.parent,
        pretrained.weights.parent,
        generated.folder,
        compacted.folder,
        probed.folder,
        calibrated.folder,  # its uncertainty has measure and certificate, and replaces that of the probe
        referenced.folder,
    )
    # The whole configuration travels with the model, so the folder depends on all of it.
    # The model records which columns its split hashed, so that its training rows can be recognised later.
    config = config.model_copy(update={"data": config.data.model_copy(update={"split": prepared.split})})
    folder = STEP.folder(config, {name: str(path) for name, path in parts.items()}, config.model_dump(mode="json"))
    return reuse(folder, Assembled, lambda: _assemble(parts, config, folder / "model"))


def _assemble(parts: dict[str, Path], config: RetrainConfig, model: Path) -> Assembled:
    shutil.rmtree(model, ignore_errors=True)  # left by a killed run
    model.mkdir()
    for name, path in parts.items():
        # A copy, not a link: a step that is made again writes into its own files.
        shutil.copyfile(path, model / name)
    save_config(model, config)
    write_manifest(model, FILES)
    return Assembled(model)
