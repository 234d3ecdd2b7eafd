"""Tables of many files, scored one file per task wherever a runner computes it."""

import json
import os
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.registry.open_model import model_folder
from tasks.scoring.one_file import Request, score
from tasks.steps.files import write_text
from tasks.steps.log import log
from tasks.steps.retries import retried_task
from varjepa.data.read.sources import source_files
from varjepa.errors import ConfigError, ModelError
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model, model_digest

STAMP = "scored.json"
"""What the files of a folder were scored with."""


@dataclass(frozen=True)
class Job:
    """What every file is scored with.

    Attributes:
        model: as a person names it.
        tracking_uri: tracking store; None means the usual one.
        device: auto, cpu, or a GPU by name.
        precision: float32, bfloat16 or auto.
        digest: of the model: no worker may find another one.
        columns: groups of columns to write.
        keep: columns of the files to carry along.
        batch_size: rows at a time; 0 means as many as suit the model.
        threads: of each worker process; 0 leaves them alone.
    """

    model: str
    tracking_uri: str | None
    device: str
    precision: str
    digest: str
    columns: tuple[str, ...]
    keep: tuple[str, ...]
    batch_size: int
    threads: int


def parts_of(source: str, out: Path) -> list[tuple[Path, Path]]:
    """Every file of a table, and the file of its scores.

    Raises:
        ConfigError: OUT is a file, or the folder that the table is in.
        DataError: the files cannot be found, or have an unknown or mixed format.
    """
    files = source_files(source)
    if out.is_file() or out.suffix in (".parquet", ".csv"):
        raise ConfigError(f"{out} is a file.", expected="With a runner OUT is a folder, one file of scores per file.")
    if any(file.parent.resolve() == out.resolve() for file in files):
        raise ConfigError(f"{out} is the folder of the table itself.", fix="Choose another folder for the scores.")
    return [(file, out / (file.name if file.suffix == ".parquet" else f"{file.name}.parquet")) for file in files]


def waiting(parts: list[tuple[Path, Path]], job: Job, out: Path, *, force: bool) -> list[tuple[Path, Path]]:
    """The files that have no scores yet, or older ones than themselves; the folder is made, and says what is in it.

    Raises:
        ConfigError: OUT holds scores of another model, precision or other columns.
    """
    out.mkdir(parents=True, exist_ok=True)
    stamp = {name: value for name, value in asdict(job).items() if name in ("digest", "precision", "columns", "keep")}
    text, place = json.dumps(stamp, default=list), out / STAMP
    known = place.is_file() and place.read_text(encoding="utf-8") == text
    if not known and not force and any(file != place for file in out.iterdir()):
        raise ConfigError(
            f"{out} is not empty, and holds no scores of this model, precision and columns.",
            fix="Choose another folder, or overwrite them with --force.",
        )
    write_text(place, text)
    if force:
        return parts
    left = [pair for pair in parts if not _is_newer(pair[1], pair[0])]
    if len(left) < len(parts):
        log.info("%d of %d files are scored already", len(parts) - len(left), len(parts))
    return left


def _is_newer(file: Path, other: Path) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= other.stat().st_mtime_ns


@retried_task("score", task_run_name="score {source.name}", retries=1, seconds=0)
def score_part(source: Path, out: Path, job: Job) -> dict[str, Any]:
    """Scores one file; see `tasks.scoring.one_file.score`."""
    if job.threads:
        import torch

        torch.set_num_threads(job.threads)
    request = Request(str(source), out, job.keep, job.batch_size, force=True)
    return score(_opened(job), request, job.columns)


@lru_cache(maxsize=1)
def _opened(job: Job) -> TrainedModel:
    """The model, opened once per worker.

    Raises:
        ModelError: the name stands for another model by now.
    """
    folder = model_folder(job.model, job.tracking_uri)
    if model_digest(folder) != job.digest:
        raise ModelError(f"{job.model} is another model than at the start.", fix="Name a version instead of an alias.")
    return load_model(folder, job.device, job.precision)


def threads_each(runner: str, workers: int) -> int:
    """Threads of a worker process of this machine, so that they share its cores; 0 leaves them alone."""
    cores = os.cpu_count() or 1
    return max(1, cores // (workers or cores)) if runner == "processes" else 0
