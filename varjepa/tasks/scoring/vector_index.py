"""The search index of a table: made once, kept, and used again while table and model are the same."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from filelock import FileLock
from numpy.typing import NDArray

from varjepa.config import DataSection
from varjepa.data.read.named_columns import renamed
from varjepa.errors import ConfigError
from varjepa.inference.model import TrainedModel
from varjepa.inference.vectors.index import GRAPH, VECTORS, VectorIndex
from varjepa.tasks.scoring.checks import kept_columns
from varjepa.tasks.scoring.one_file import batch_rows
from varjepa.tasks.scoring.stream import batches_of
from varjepa.tasks.sources.address import section_at
from varjepa.tasks.sources.found_table import FoundTable
from varjepa.tasks.sources.open_table import find_table, reads, require_unchanged
from varjepa.tasks.sources.run_day import dated, planned_day
from varjepa.tasks.sources.stages import stage_for
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import step_folder
from varjepa.tasks.steps.turns import in_turn

FACTS = "index.json"
"""File of an index that says what it was made of; written last."""

FORMAT = 1
"""Version of the files of an index; those of another version are made again."""


@dataclass(frozen=True)
class Facts:
    """What an index was made of. It is used again only where all of this is the same.

    Attributes:
        table: fingerprint of the table, whose order counts: the index gives numbers of rows.
        model: digest of the model.
        size: numbers of a vector.
        format: of the files.
    """

    table: str
    model: str
    size: int
    format: int = FORMAT


@dataclass(frozen=True)
class TableIndex:
    """The index of a table.

    Attributes:
        index: open.
        folder: where it is kept.
        reused: whether it was there already.
        kept: the wanted columns of the table, in the order of the index; None if there are none to copy.
    """

    index: VectorIndex
    folder: Path
    reused: bool
    kept: pl.DataFrame | None = None


def table_index(
    model: TrainedModel, digest: str, table: str, *, size: int, folder: Path | None = None, batch_size: int = 0,
    keep: tuple[str, ...] = (),
) -> TableIndex:  # fmt: skip
    """Opens the index of a table; makes it where there is none, or where table or model have changed.

    Args:
        model: makes the vectors.
        digest: of the model.
        table: file, folder, glob or URI.
        size: numbers of a vector.
        folder: where to keep the index; None for a folder of our own.
        batch_size: rows embedded at a time; 0 means as many as suit the model.
        keep: columns of the table to copy.

    Raises:
        ConfigError: the folder holds something else.
        DataError: the table cannot be read, or lacks a column.
        ModelError: the model has no compact vectors.
    """
    model.compact_basis()
    data = dated(section_at(model.config.data, table), planned_day())
    with stage_for(data.path or "") as stage:
        found = find_table(data, stage)
        kept = _kept(model, found, data, keep)  # first, so that a wrong name costs no index
        facts = Facts(found.fingerprint() + found.order(), digest, size)
        folder = folder or step_folder("similar", asdict(facts), code="varjepa.inference.vectors.index")
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(folder.name + ".lock"))
        with in_turn(lock, "another process makes the same index"):
            reused = _is_current(folder, facts)
            if not reused:
                _make(folder, facts, _vectors(model, found, data, size, batch_rows(model, batch_size)))
                require_unchanged(found, facts.table)
                write_text(folder / FACTS, json.dumps(asdict(facts)))
            return TableIndex(VectorIndex.open(folder, size), folder, reused, kept)


def _kept(model: TrainedModel, found: FoundTable, data: DataSection, keep: tuple[str, ...]) -> pl.DataFrame | None:
    """The wanted columns of the table, all of its rows. A database that is asked again may give them in another order.

    Raises:
        DataError: there is no such column.
    """
    if not keep:
        return None
    with reads(data):
        frame = renamed(found.open(model.preprocessor.text).frame, data.rename)
        return kept_columns(frame, keep).collect()


def _is_current(folder: Path, facts: Facts) -> bool:
    """Whether the index of a folder may be used again; says why not.

    Raises:
        ConfigError: the folder holds something else, which must not be touched.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not (folder / FACTS).is_file():
        left = {path.name for path in folder.iterdir()} - {VECTORS, GRAPH, f"{VECTORS}.part", f"{GRAPH}.part"}
        if left or folder.is_file():
            raise ConfigError(f"{folder} is not the folder of an index.", fix="Name an empty or a new folder.")
        return False  # of a process that was killed
    before = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    changed = [name for name, value in asdict(facts).items() if before.get(name) != value]
    if changed:
        log.info("the index in %s is of another %s: it is made again", folder, " and ".join(changed))
    else:
        (folder / FACTS).touch()  # the time of its last use, for `varjepa clean`
        log.info("nothing has changed, reusing the index in %s", folder)
    return not changed


def _make(folder: Path, facts: Facts, pieces: Iterator[NDArray[np.float32]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / FACTS).unlink(missing_ok=True)
    index = VectorIndex.write(folder, facts.size, pieces)
    log.info("indexed %s rows in %s", f"{len(index.vectors):,}", folder)


def _vectors(
    model: TrainedModel, found: FoundTable, data: DataSection, size: int, rows: int
) -> Iterator[NDArray[np.float32]]:
    for frame in batches_of(found.open(model.preprocessor.text), data, rows):
        yield model.vectors(frame, size)
