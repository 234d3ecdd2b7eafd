"""Scoring tables of many files: one task per file, on any runner."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from glob import has_magic
from itertools import takewhile
from pathlib import Path

from varjepa.config.uris import home_expanded
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
"""File that records the model and the columns that a folder was scored with, and the file of each of its scores."""


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
        ConfigError: OUT is a file or the folder of the table, or two files would have the same scores.
        DataError: the files cannot be found, or have an unknown or mixed format.
    """
    place = expanded(source)
    files = source_files(place)
    if out.is_file() or out.suffix in (".parquet", ".csv"):
        raise is_a_file(str(out))
    if any(file.parent.resolve() == out.resolve() for file in files):
        raise ConfigError(f"{out} is the folder of the table itself.", fix="Choose another folder for the scores.")
    parts = [(file, out / scores_name(_name_of(file, place))) for file in files]
    require_apart([(str(file), scores.name) for file, scores in parts])
    return parts


def _name_of(file: Path, source: str) -> str:
    """The name of a file after those of the folders that a pattern left open, and of its key=value folders."""
    named = name_within(file)
    if not has_magic(source):
        return named
    fixed = list(takewhile(lambda part: not has_magic(part), home_expanded(source).parts))
    return max(named, "/".join(file.parts[len(fixed) :]), key=len)


def require_apart(scored: Sequence[tuple[str, str]]) -> None:
    """Checks that no two files have the same scores.

    Args:
        scored: files, and the names of their scores.

    Raises:
        ConfigError: the scores of one would replace those of the other.
    """
    first: dict[str, str] = {}
    for file, name in scored:
        if first.setdefault(name, file) != file:
            raise ConfigError(
                f"The scores of {first[name]} and of {file} would both be {name}.",
                fix="Rename one of them, or score them into two folders.",
            )


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
        ConfigError: OUT contains scores of another model or precision, of other columns, or of other files of the same
            names.
    """
    out.mkdir(parents=True, exist_ok=True)
    place = out / STAMP
    before = place.read_bytes() if place.is_file() else None
    there = {file.name for file in out.iterdir()} - {STAMP}
    sources = {scores.name: str(file.resolve()) for file, scores in parts}
    text = stamped(before, job, sources, there, str(out), force=force)
    if force:  # what a killed process has not made again must not look like the new scores
        for _, scores in parts:
            scores.unlink(missing_ok=True)
    write_text(place, text)
    if force:
        return parts
    unscored = [pair for pair in parts if not _is_newer(pair[1], pair[0])]
    if len(unscored) < len(parts):
        log.info("%d of %d files are already scored", len(parts) - len(unscored), len(parts))
    return unscored


def stamped(
    before: bytes | None, job: Job, sources: Mapping[str, str], there: Collection[str], out: str, *, force: bool
) -> str:
    """The new content of `STAMP`: what OUT is scored with, and whose scores each of its files holds.

    Args:
        before: its content now; None if there is none.
        job: settings of scoring.
        sources: names of scores -> the file or object that they are of.
        there: names of the files in OUT.
        out: for messages.
        force: replace what is there.

    Raises:
        ConfigError: OUT holds scores of other settings, or of other files of the same names.
    """
    settings = json.loads(json.dumps({name: getattr(job, name) for name in ("digest", "precision", "columns", "keep")}))
    found = json.loads(before) if before is not None else {}
    held: dict[str, str] = found.pop("sources", {})
    if found != settings:
        if there and not force:
            raise another_model(out)
        held = {}
    others = [name for name, source in sources.items() if name in there and held.get(name, source) != source]
    if others and not force:
        raise ConfigError(
            f"{out} holds the scores of other files of the same names: {others[0]} is of {held[others[0]]}.",
            fix="Choose another folder for each table, or pass --force to overwrite the files.",
        )
    return json.dumps({**settings, "sources": {**held, **sources}})


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
