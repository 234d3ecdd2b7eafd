"""The overhead of Prefect and MLflow: the retrain flow against its steps called as plain functions.

    python -m benchmarks.overhead DATA [--repeats 3]

DATA is the Adult table. The model is small, because the overhead does not depend on its size. Both variants run in
turns, each as a separate process in an empty folder: the command line with its temporary Prefect server and a new
tracking database, and the same steps without either, without a registered model and without the model card. Writes
`results/overhead.json`. CPU seconds (user and system, of all processes) are there because others may use the machine.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import RESULTS, Figure, publish
from benchmarks.recovery import SETTINGS

if TYPE_CHECKING:
    from varjepa.config import RetrainConfig
    from varjepa.tasks.retrain.preprocess import Prepared
    from varjepa.tasks.retrain.pretrain import Pretrained

ROOT = Path(__file__).parents[1]
CONFIG = str(ROOT / "configs" / "adult.yaml")


class Unlogged:
    """A curve logger that discards everything."""

    def log(self, _metrics: dict[str, float]) -> None:
        """Discards the metrics of an epoch."""


def pretrained_alone(prepared: "Prepared", config: "RetrainConfig") -> "Pretrained":
    """Trains the encoder of a job as a plain function, without a tracking store."""
    from varjepa.tasks.retrain.pretrain import STEP, Job, train
    from varjepa.training.distributed import World

    folder = STEP.folder(config)
    folder.mkdir(parents=True)
    job = Job(prepared.encoded, prepared.preprocessor, folder, "no run")
    return train(job, config, World(), Unlogged())  # type: ignore[arg-type]  # logs nothing


def plain(words: list[str]) -> None:
    """The steps of the flow that train and evaluate a model, as plain functions."""
    from varjepa.config import load_config
    from varjepa.tasks.retrain.assemble import assemble
    from varjepa.tasks.retrain.assess_generator import assess_generator
    from varjepa.tasks.retrain.calibrate import calibrate
    from varjepa.tasks.retrain.compact import compact
    from varjepa.tasks.retrain.generate import generate
    from varjepa.tasks.retrain.ingest import ingest
    from varjepa.tasks.retrain.preprocess import preprocess
    from varjepa.tasks.retrain.probe import probe
    from varjepa.tasks.retrain.reference import make_reference
    from varjepa.tasks.retrain.validate import check_contract

    config = load_config(CONFIG, words)
    snapshot = ingest.fn(config)
    validation = check_contract.fn(snapshot, config)
    prepared = preprocess.fn(validation.clean, config)
    pretrained = pretrained_alone(prepared, config)
    generated = generate.fn(prepared, pretrained, config)
    probed = probe.fn(prepared, pretrained, config)
    calibrated = calibrate.fn(prepared, pretrained, probed, config)
    assess_generator.fn(prepared, pretrained, generated, config)
    referenced = make_reference.fn(
        prepared, pretrained, generated=generated, probed=probed, calibrated=calibrated, config=config
    )
    assemble.fn(
        prepared, pretrained, generated=generated, compacted=compact.fn(prepared, pretrained, config), probed=probed,
        calibrated=calibrated, referenced=referenced, config=config,
    )  # fmt: skip


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process in an empty folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))}
    with tempfile.TemporaryDirectory() as folder:
        own = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": f"{folder}/prefect"}
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", *command], cwd=folder, env=kept | own, check=True, capture_output=True)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Parses the arguments, measures in turns, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    settings = [f"data.path={words.data.absolute()}", *SETTINGS]
    if words.plain:
        plain(settings)
        return
    sets = [word for setting in settings for word in ("--set", setting)]
    commands = {
        "flow": ["varjepa.flows.cli", "retrain", CONFIG, *sets],
        "plain": ["benchmarks.overhead", "--plain", str(words.data.absolute())],
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(words.repeats):
        for name, command in commands.items():
            found[name].append(timed(command))
    figures = []
    for index, unit in enumerate(("wall s", "CPU s")):
        median = {name: statistics.median(times[index] for times in all_times) for name, all_times in found.items()}
        figures += [Figure(f"retrain of Adult, {name}", value, unit) for name, value in median.items()]
        asked = "at most 20" if index == 0 else ""
        figures.append(Figure("retrain of Adult, flow less plain", median["flow"] - median["plain"], unit, None, asked))
    made = f"python -m benchmarks.overhead adult.csv.gz --repeats {words.repeats}"
    publish("overhead", figures, RESULTS, command=made)


if __name__ == "__main__":
    main()
