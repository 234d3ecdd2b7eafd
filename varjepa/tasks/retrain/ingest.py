"""Step 1: take a snapshot of the source, so that every later step sees the same rows."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from varjepa.config import DataSection, RetrainConfig
from varjepa.config.data import ColumnSection
from varjepa.errors import DataError
from varjepa.tasks.lineage.record import reads
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.retries import retried_task
from varjepa.tasks.steps.reuse import Step, reuse

if TYPE_CHECKING:
    from varjepa.tasks.sources.found_table import FoundTable

STEP = Step(
    "ingest", __name__,
    settings=("data.name", "data.version", "data.rows", "data.columns", "data.separator", "data.quote",
              "data.comment", "data.encoding", "data.skip_lines", "data.header", "data.sheet", "data.na_values",
              "data.rename", "data.noise", "data.kinds"),
)  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """The rows of the source at the time of the run.

    Attributes:
        path: Parquet file, row numbers of the source in front.
        fingerprint: 64 hexadecimal digits; of a single local file its SHA-256.
        rows: number of rows.
        source_rows: number of rows of the source, of which `data.rows` may have drawn a sample.
        columns: type of every column, as read.
        source: description of the source, for people.
        spelled: how columns are spelled that are not in the plain spelling.
        words: the same in words.
        doubts: how columns are read that may be read in another way, and cells that count as missing.
    """

    path: Path
    fingerprint: str
    rows: int
    columns: dict[str, str]
    source: str
    spelled: dict[str, ColumnSection] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    source_rows: int = 0

    def told(self, config: RetrainConfig) -> RetrainConfig:
        """The configuration with how columns are spelled: later steps and the finished model read text alike."""
        data = config.data.model_copy(update={"columns": {**config.data.columns, **self.spelled}})
        return config.model_copy(update={"data": data})


@retried_task("ingest", task_run_name="ingest", seconds=5)
def ingest(config: RetrainConfig) -> Snapshot:
    """Reads the source once and keeps it as Parquet.

    Raises:
        DataError: the source cannot be found or read, has no rows, or lacks a column that the configuration names.
        InterruptedReadError: a server does not answer; the task is retried.
    """
    # Imported here, as in this file's other functions, so that commands start quickly.
    from varjepa.data.read.named_columns import named_in_job, require_named
    from varjepa.tasks.sources.named import named_table
    from varjepa.tasks.sources.open_table import find_table
    from varjepa.tasks.sources.stages import stage_for

    data = config.data
    with stage_for(data.path or "") as stage:
        table = find_table(data, stage)
        fingerprint = table.fingerprint()
        # The split seed and the label count only where they change rows: in samples, noise and generated tables.
        seed = data.split.seed if data.rows or data.noise or data.path is None else None
        spared = data.label if data.noise else None  # noise leaves the label alone
        folder = STEP.folder(config, fingerprint, seed, spared)
        snapshot = reuse(folder, Snapshot, lambda: _snapshot(data, folder, table, fingerprint))
    reads(named_table(data, snapshot.columns, snapshot.source_rows or snapshot.rows, snapshot.fingerprint))
    require_named(list(snapshot.columns), named_in_job(config))
    for name, words in snapshot.words.items():
        log.info('The column "%s" holds %s', name, words)
    for name, doubt in snapshot.doubts.items():
        log.warning('The column "%s": %s', name, doubt)
    return snapshot


def _snapshot(data: DataSection, folder: Path, table: "FoundTable", fingerprint: str) -> Snapshot:
    import numpy as np
    import polars as pl

    from varjepa.data.cells import beyond_counts, beyond_words, without_beyond
    from varjepa.data.read.named_columns import renamed
    from varjepa.data.read.sim_table import blended_with_noise
    from varjepa.data.read.sources import ROW
    from varjepa.tasks.sources.fingerprints import file_fingerprint
    from varjepa.tasks.sources.open_table import reads, require_unchanged

    source = table.open(None)
    frame, path = renamed(source.frame, data.rename).with_row_index(ROW), folder / "snapshot.parquet"
    total = 0
    with reads(data):
        if data.rows is not None and data.path is not None:
            total = int(frame.select(pl.len()).collect().item())
            if data.rows < total:
                # Sorted: the sample keeps the order of the source.
                picks = np.sort(np.random.default_rng([data.split.seed, 1]).permutation(total)[: data.rows])
                frame = frame.filter(pl.col(ROW).is_in(picks.tolist()))
        if data.noise:
            clear = frame.collect()
            blended = blended_with_noise(clear.drop(ROW), share=data.noise, seed=data.split.seed, label=data.label)
            frame = blended.with_columns(clear[ROW]).lazy()
        try:
            frame.with_columns(pl.col(ROW).cast(pl.Int64)).sink_parquet(path, maintain_order=True)
            require_unchanged(table, fingerprint)
        except BaseException:
            path.unlink(missing_ok=True)  # half of the rows may fill a disk
            raise
    written = pl.scan_parquet(path)
    rows = int(written.select(pl.len()).collect().item())
    if rows == 0:
        raise DataError(f"{source.description} has no rows.", expected="Expected a header line and rows.")
    beyond = {name: beyond_words(count) for name, count in beyond_counts(written).items()}
    if beyond:
        clean = folder / "clean.parquet"
        without_beyond(written, beyond).sink_parquet(clean, maintain_order=True)
        clean.replace(path)
    columns = {name: str(dtype) for name, dtype in written.collect_schema().items() if name != ROW}
    return Snapshot(
        path, fingerprint or file_fingerprint((path,)), rows, columns, source.description, source.columns, source.words,
        {**beyond, **source.doubts}, max(rows, total),
    )  # fmt: skip
