"""Scoring tables of many files: one task per file, on any runner."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from varjepa.data.files.found import name_within
from varjepa.data.read.sources import source_files
from varjepa.errors import ConfigError, ModelError
from varjepa.inference.model import TrainedModel
from varjepa.inference.storage import load_model, model_digest
from varjepa.machine import cores
from varjepa.tasks.answers.tables import FileAnswer
from varjepa.tasks.registry.open_model import model_folder
from varjepa.tasks.scoring.one_file import Request, score
from varjepa.tasks.sources.address import expanded
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.retries import retried_task

STAMP = "scored.json"
"""File that records the model and the columns that a folder was scored with."""


@dataclass(frozen=True)
class Job:
    """Settings of scoring, the same for every file.

    Attributes:
        model: as given on the command line.
        tracking_uri: tracking store; None means the default one.
        device: auto, cpu, or a GPU by name.
        precision: float32, bfloat16 or auto.
        digest: of the model; every worker checks it.
        columns: groups of columns to write.
        keep: columns of the files to copy.
        batch_size: rows per batch; 0 means chosen by the size of the model.
        threads: of each worker process; 0 means unchanged.
        folder: of the model, for workers on this machine; None: each finds the model by its name.
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
    folder: str | None = None


def parts_of(source: str, out: Path) -> list[tuple[Path, Path]]:
    """The files of a table, each with the path of its scores.

    Raises:
        ConfigError: OUT is a file or the folder of the table.
        DataError: the files cannot be found, or have an unknown or mixed format.
    """
    files = source_files(expanded(source))
    if out.is_file() or out.suffix in (".parquet", ".csv"):
        raise is_a_file(str(out))
    if any(file.parent.resolve() == out.resolve() for file in files):
        raise ConfigError(f"{out} is the folder of the table itself.", fix="Choose another folder for the scores.")
    return [(file, out / scores_name(name_within(file))) for file in files]


def is_a_file(out: str) -> ConfigError:
    """Says that OUT should be a folder."""
    expected = "Expected a folder, because --runner writes one file of scores per file."
    return ConfigError(f"{out} is a file.", expected=expected)


def scores_name(name: str) -> str:
    """Of the scores of a file, whose name begins with its key=value folders: those of two folders may be the same.

    Examples:
        >>> scores_name("year=2024/0.parquet"), scores_name("0.csv")
        ('year=2024,0.parquet', '0.csv.parquet')
    """
    flat = name.replace("/", ",")
    return flat if flat.endswith(".parquet") else f"{flat}.parquet"


def waiting(parts: list[tuple[Path, Path]], job: Job, out: Path, *, force: bool) -> list[tuple[Path, Path]]:
    """The files without scores, or with scores that are older than the file. Creates the folder and writes `STAMP`.

    Raises:
        ConfigError: OUT contains scores of another model or precision, or other columns.
    """
    out.mkdir(parents=True, exist_ok=True)
    text, place = stamp_of(job), out / STAMP
    same = place.is_file() and place.read_text(encoding="utf-8") == text
    if not same and not force and any(file != place for file in out.iterdir()):
        raise another_model(str(out))
    write_text(place, text)
    if force:
        return parts
    unscored = [pair for pair in parts if not _is_newer(pair[1], pair[0])]
    if len(unscored) < len(parts):
        log.info("%d of %d files are already scored", len(parts) - len(unscored), len(parts))
    return unscored


def stamp_of(job: Job) -> str:
    """Content of `STAMP`."""
    kept = {name: value for name, value in asdict(job).items() if name in ("digest", "precision", "columns", "keep")}
    return json.dumps(kept, default=list)


def another_model(out: str) -> ConfigError:
    """Says that OUT holds other scores."""
    return ConfigError(
        f"{out} is not empty and was not scored with this model, precision and columns.",
        expected="Expected an empty folder, or one with scores of the same settings.",
        fix="Choose another folder, or pass --force to overwrite the files.",
    )


def _is_newer(file: Path, other: Path) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= other.stat().st_mtime_ns


@retried_task("score", task_run_name="score {source}", retries=1, seconds=0)
def score_part(source: Path | str, out: Path | str, job: Job) -> FileAnswer:
    """Scores one file or object; see `varjepa.tasks.scoring.one_file.score`."""
    if job.threads:
        import torch

        torch.set_num_threads(job.threads)
    request = Request(str(source), str(out), job.keep, job.batch_size, force=True)
    return score(_opened(job), request, job.columns)


@lru_cache(maxsize=1)
def _opened(job: Job) -> TrainedModel:
    """The model, opened once per worker.

    Raises:
        ModelError: the name now points to another model.
    """
    folder = Path(job.folder) if job.folder else model_folder(job.model, job.tracking_uri)
    if model_digest(folder) != job.digest:
        raise ModelError(
            f"{job.model} now points to another model than at the start.", fix="Name a version instead of an alias."
        )
    return load_model(folder, job.device, job.precision)


def threads_each(runner: str, workers: int) -> int:
    """Threads per worker process, so that all workers of this machine share its cores; 0 means unchanged."""
    return max(1, cores() // (workers or cores())) if runner == "processes" else 0
