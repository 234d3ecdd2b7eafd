"""Step 3: split the rows, fit the preprocessing on the training part, encode all rows."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from varjepa.config import DataSection, PreprocessSection, RetrainConfig, SplitSection
from varjepa.config.data import KIND
from varjepa.data.read.left_out import MOST_NAMED, left_out_words
from varjepa.errors import DataError
from varjepa.tasks.orchestration.parallel_map import workers
from varjepa.tasks.retrain.partitions import (
    Partition,
    encode,
    encode_elsewhere,
    file_name,
    partitions_of,
    split_hashes,
    training_rows,
    write_encoded,
    write_marks,
)
from varjepa.tasks.retrain.validate import contract_of
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.steps.files import write_text
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.steps.reuse import Elsewhere, Step, digest, reuse, sharing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from polars import DataFrame, LazyFrame

    from varjepa.data.encode.preprocessor import Preprocessor
    from varjepa.data.fit.preprocessor_fit import Verdicts
    from varjepa.data.fit.ranges import ParallelMap

T = TypeVar("T")

STEP = Step(
    "preprocess",
    __name__,
    settings=("data.label", "data.task", "data.drop", "data.kinds", "data.columns", "data.split", "preprocess"),
)

LEAK_ROWS = 20_000
"""At most about this many rows of a part show whether a column predicts the label alone."""

ENCODED, PREPROCESSOR, SPLIT = "encoded.parquet", "preprocessor.json", "parts.parquet"


@dataclass(frozen=True)
class Prepared:
    """Encoded rows.

    Attributes:
        clean: Parquet file with the same rows, not encoded.
        encoded: Parquet file with row number, part, cluster (split by hash), features and label; or a folder of such
            files, whose names sort in the order of the rows.
        preprocessor: JSON file.
        features: number of features.
        parts: rows per part.
        left_out: columns that are not features, with the reason.
        joined: features made from several columns, with these columns.
        split: the split, with the columns that were hashed.
        rare: categorical columns with rare categories, and the share of training cells that hold one.
        leaks: columns that predict the label alone, and the share of its uncertainty that each takes away.
    """

    clean: Path
    encoded: Path
    preprocessor: Path
    features: int
    parts: dict[str, int]
    left_out: dict[str, str]
    joined: dict[str, tuple[str, ...]]
    split: SplitSection
    rare: dict[str, float]
    leaks: dict[str, float]

    def sized(self, config: RetrainConfig) -> RetrainConfig:
        """The configuration with the sizes of the model for these rows and features."""
        return config.sized(sum(self.parts.values()), self.features)

    def evenly_spaced(self, *parts: str, most: int) -> "LazyFrame":
        """At most `most` evenly spaced raw rows of some parts, in their order, as a lazy frame."""
        from varjepa.data.read.spaced_rows import evenly_spaced

        return evenly_spaced(self.raw(*parts), sum(self.parts.get(name, 0) for name in parts), most)

    def raw(self, *parts: str) -> "LazyFrame":
        """The raw rows of some parts, in their order, as a lazy frame."""
        import polars as pl

        from varjepa.data.read.splits import PART

        # Both files hold the same rows in the same order; joining them by number would hold all numbers in memory.
        marks = pl.scan_parquet(self.encoded).select(PART)
        both = pl.concat([pl.scan_parquet(self.clean), marks], how="horizontal")
        return both.filter(pl.col(PART).is_in(parts)).drop(PART)


@task(name="preprocess", task_run_name="preprocess")
def preprocess(clean: Path, config: RetrainConfig) -> Prepared:
    """Splits, fits on the training rows and encodes all rows.

    Raises:
        DataError: too few rows, unknown columns, or nothing to learn from.
        SetupError: the runner is not installed.
    """
    from varjepa.data.fit.derived_columns import SHOWN_RARE, rare_words

    promised = {name: column.kind for name, column in contract_of(config).columns.items()}
    folder = STEP.folder(config, str(clean), promised)
    with _text_in_words():
        prepared = reuse(folder, Prepared, lambda: _preprocess(clean, config.data, config.preprocess, folder, promised))
    for words in left_out_words(prepared.left_out):
        log.warning("%s", words)
    for name, columns in _first(prepared.joined, "joined columns", logging.INFO):
        log.info('%d columns from "%s" to "%s" are one feature, "%s"', len(columns), columns[0], columns[-1], name)
    rare = {name: share for name, share in prepared.rare.items() if share > SHOWN_RARE}
    for name, share in _first(rare, "columns with rare categories"):
        log.warning('The column "%s": %s.', name, rare_words(share))
    for name, share in _first(prepared.leaks, "columns that say much about the label"):
        log.warning(
            'The column "%s" alone takes away %.0f%% of the uncertainty about the label. If it is not known when you '
            "predict, list it in data.drop.", name, 100 * share,
        )  # fmt: skip
    return prepared


def _first(found: Mapping[str, T], kind: str, level: int = logging.WARNING) -> Iterator[tuple[str, T]]:
    """The first columns of hundreds, each of which takes a line; the others are counted at the end."""
    yield from list(found.items())[:MOST_NAMED]
    if len(found) > MOST_NAMED:
        log.log(level, "%s further %s, which the model card names", f"{len(found) - MOST_NAMED:,}", kind)


@contextmanager
def _text_in_words() -> Iterator[None]:
    """Says which column holds text where numbers are encoded: a label of words whose task is regression."""
    import polars as pl

    from varjepa.data.spelling.learned import UNREAD

    try:
        yield
    except pl.exceptions.InvalidOperationError as error:
        unread = UNREAD.search(str(error))
        if unread is None:
            raise
        raise DataError(
            f"The {unread['found']}.", expected="Expected numbers.", fix="Check data.task, data.kinds and data.columns."
        ) from error


def _preprocess(
    clean: Path, data: DataSection, settings: PreprocessSection, folder: Path, promised: Mapping[str, KIND]
) -> Prepared:
    partitions: list[Partition] = []
    if settings.runner != "none":
        # Resolved, as workers may run in another folder than this process.
        partitions = partitions_of(clean.resolve(), folder.resolve() / SPLIT, settings.partition_rows)
    if len(partitions) > 1:
        log.info("preprocessing %d partitions: %s", len(partitions), settings.runner)
        elsewhere = None
        if settings.runner == "dask" and settings.dask_address:
            elsewhere = sharing.get().elsewhere(clean.parent, folder)
        with workers(settings) as parallel_map:
            preprocessor, counts, split = in_partitions(
                partitions, data, settings, folder, parallel_map, promised=promised, elsewhere=elsewhere
            )
    else:
        verdicts = inspect(clean, data, promised)
        split = verdicts.hashed(data.split)
        marked, counts = divide(clean, split, folder)
        preprocessor = learn(marked, data, settings, verdicts.kinds)
        _clear(folder / ENCODED)
        write_encoded(marked, preprocessor, folder / ENCODED)
        _clear(folder / SPLIT)
        write_text(folder / PREPROCESSOR, preprocessor.model_dump_json(indent=1))
    return Prepared(
        clean, folder / ENCODED, folder / PREPROCESSOR, preprocessor.sizes.n_features, counts, preprocessor.left_out,
        preprocessor.joined, split, preprocessor.rare, possible_leaks(folder / ENCODED, preprocessor),
    )  # fmt: skip


def possible_leaks(encoded: Path, preprocessor: "Preprocessor") -> dict[str, float]:
    """Columns that predict the label alone; see `varjepa.evaluation.leaks`. None without a label."""
    import polars as pl

    from varjepa.data.encode.features import LABEL
    from varjepa.data.read.spaced_rows import evenly_spaced
    from varjepa.data.read.splits import PART
    from varjepa.evaluation.leaks import leaks

    label = preprocessor.label
    if label is None:
        return {}
    rows = pl.scan_parquet(encoded).filter(label.can_predict(pl.col(LABEL)))

    def sample(part: str) -> "DataFrame":
        of_part = rows.filter(pl.col(PART) == part)
        return evenly_spaced(of_part, int(of_part.select(pl.len()).collect().item()), LEAK_ROWS).collect()

    def values(part: "DataFrame") -> dict[str, "NDArray[np.float64]"]:
        return {name: part[name].cast(pl.Float64).to_numpy() for name in preprocessor.names}

    train, held = sample("train"), sample("validation")
    labels = train[LABEL].to_numpy(), held[LABEL].to_numpy()
    found = leaks(values(train), values(held), labels, classes=len(label.classes))
    return {preprocessor.sources.get(name, name): share for name, share in found.items()}


def inspect(clean: Path, data: DataSection, promised: Mapping[str, KIND] | None = None) -> "Verdicts":
    """What all rows decide about the columns, and the contract with its kinds."""
    import polars as pl

    from varjepa.data.fit.preprocessor_fit import inspect_columns
    from varjepa.data.fit.streamed_rows import StreamedRows
    from varjepa.data.read.sources import ROW

    return inspect_columns(StreamedRows(pl.scan_parquet(clean).drop(ROW, strict=False)), data, promised)


def divide(clean: Path, split: SplitSection, folder: Path) -> tuple["LazyFrame", dict[str, int]]:
    """A lazy frame of the rows with their marks as further columns, and the number of rows per part.

    For a split by hash the marks lie in a file in `folder`, which the frame reads: one part is a byte, but a cluster
    takes eight.
    """
    import polars as pl

    from varjepa.data.read import splits

    frame = pl.scan_parquet(clean)
    if split.by == "hash":
        counts = write_marks(splits.split_hashes(frame, split), split, folder / SPLIT)
        return pl.concat([frame, pl.scan_parquet(folder / SPLIT)], how="horizontal"), counts
    parts = splits.assign_parts(frame, split)
    return pl.concat([frame, parts.to_frame().lazy()], how="horizontal"), dict(parts.value_counts().iter_rows())


def learn(
    marked: "LazyFrame", data: DataSection, settings: PreprocessSection, kinds: Mapping[str, KIND]
) -> "Preprocessor":
    """Fits on the rows that preprocessing may use."""
    from varjepa.data.fit.preprocessor_fit import fit
    from varjepa.data.read.splits import learned_from

    return fit(learned_from(marked, data.split.seen), data, settings, kinds)


def in_partitions(
    partitions: list[Partition],
    data: DataSection,
    settings: PreprocessSection,
    folder: Path,
    parallel_map: "ParallelMap",
    *,
    promised: Mapping[str, KIND] | None = None,
    elsewhere: Elsewhere | None = None,
) -> tuple["Preprocessor", dict[str, int], SplitSection]:
    """The same in partitions. This process holds at most the part of each row and statistics over all rows.

    Partitions that an interrupted run encoded in the same way are not encoded again. With `elsewhere`, workers read and
    write objects; otherwise they have the same folders as this process.
    """
    from varjepa.data.fit.partitioned_rows import PartitionedRows
    from varjepa.data.fit.preprocessor_fit import fit_rows, inspect_columns

    local = partitions[0]
    if elsewhere is not None:
        clean, marks = f"{elsewhere.result}/{Path(local.clean).name}", f"{elsewhere.parts}/{SPLIT}"
        partitions = [replace(partition, clean=clean, marks=marks) for partition in partitions]
    all_rows = PartitionedRows([partition.table for partition in partitions], parallel_map)
    verdicts = inspect_columns(all_rows, data, promised)
    split = verdicts.hashed(data.split)
    counts = _divide(local, partitions, split, parallel_map)
    if elsewhere is not None:
        _upload_marks(Path(local.marks), elsewhere)
    openers = [partial(training_rows, partition, split.seen) for partition in partitions]
    preprocessor = fit_rows(PartitionedRows(openers, parallel_map), data, settings, verdicts.kinds)
    text = preprocessor.model_dump_json(indent=1)
    write_text(folder / PREPROCESSOR, text)
    # Named by preprocessor and partitions: an interrupted run's draft is continued only if both are the same.
    draft = folder.resolve() / f"draft-{digest(text, [partition.start for partition in partitions])}"
    draft.mkdir(exist_ok=True)
    if elsewhere is None:
        work: Any = partial(encode, preprocessor=draft.with_name(PREPROCESSOR), folder=draft)
    else:
        work = partial(encode_elsewhere, preprocessor=text, parts=elsewhere.parts, draft=draft.name)
    for partition, _ in zip(partitions, parallel_map(work, partitions), strict=True):
        if elsewhere is not None:
            _bring(draft / file_name(partition), elsewhere)
    # Renamed only when complete, so that `encoded` never lacks a partition.
    _clear(folder / ENCODED)
    draft.replace(folder / ENCODED)
    for leftover in (folder / SPLIT, *folder.glob("draft-*")):  # also drafts of earlier, interrupted runs
        _clear(leftover)
    return preprocessor, counts, split


def _upload_marks(marks: Path, elsewhere: Elsewhere) -> None:
    from varjepa.tasks.work_store.place import Place

    with reaching(f"The work store {elsewhere.parts}", "written"), marks.open("rb") as stream:
        Place(elsewhere.parts).write(SPLIT, stream)


def _bring(file: Path, elsewhere: Elsewhere) -> None:
    """Downloads a part that a worker has encoded, unless an interrupted run has brought it."""
    from varjepa.tasks.work_store.place import Place

    if file.is_file():
        return
    key = f"{file.parent.name}/{file.name}"
    with reaching(f"The work store {elsewhere.parts}"):
        place = Place(elsewhere.parts)
        item = place.item(key)
        place.download(key, 0 if item is None else item.size, file)


def _divide(
    local: Partition, partitions: list[Partition], split: SplitSection, parallel_map: "ParallelMap"
) -> dict[str, int]:
    """Writes the marks of each row to the file of the local partition; returns the number of rows per part."""
    import polars as pl

    from varjepa.data.read.splits import assign_parts

    # Row groups of a partition's size: a worker reads little more than its own rows.
    marks = Path(local.marks)
    if split.by == "hash":
        return write_marks(parallel_map(partial(split_hashes, split=split), partitions), split, marks)
    parts = assign_parts(pl.scan_parquet(local.clean), split)
    parts.to_frame().write_parquet(marks, row_group_size=local.rows)
    return dict(parts.value_counts().iter_rows())


def _clear(path: Path) -> None:
    """Removes a file or a folder if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
