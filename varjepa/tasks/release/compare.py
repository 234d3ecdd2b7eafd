"""Compares a challenger with the champion of its name on the same test rows."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from varjepa.config import RetrainConfig
from varjepa.data.cells import column
from varjepa.errors import ModelError, UserError
from varjepa.tasks.registry.open_model import open_model
from varjepa.tasks.registry.tags import FINGERPRINT_TAG, ROWS_TAG, RUN_TAG
from varjepa.tasks.release.unseen import (
    LEARNED_ROWS,
    has_artifact,
    kept_artifact,
    learned_by_challenger,
    learned_by_version,
    trained_columns,
    write_learned,
)
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.signing.keys import trusted
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.store import client_of
from varjepa.tasks.tracking.uris import tracking_uri

if TYPE_CHECKING:
    import polars as pl

    from varjepa.evaluation.arrays import Bools
    from varjepa.evaluation.gate.evidence import Evidence, Metric
    from varjepa.evaluation.gate.verdict import Verdict
    from varjepa.evaluation.gate.veto import Veto
    from varjepa.inference.model import TrainedModel

TEST_ROWS = "gate/test_rows.parquet"
"""Artifact of a version's run: the test rows on which the gate compared it."""


@dataclass(frozen=True)
class Candidate:
    """A finished model before the gate has judged it.

    Attributes:
        model: its folder.
        prepared: the rows on which it was trained and measured.
        fingerprint: of the source.
        baseline: how it compares with models of raw columns, for the first version of a name; empty without a label.
    """

    model: Path
    prepared: Prepared
    fingerprint: str
    baseline: str = ""

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(self.prepared.parts.values())


def compare(candidate: Candidate, champion: int | None, config: RetrainConfig) -> "Verdict":
    """Judges a candidate against the champion's version, or alone where there is no champion."""
    from varjepa.evaluation.gate.groups import row_classes, row_groups
    from varjepa.evaluation.gate.verdict import judge
    from varjepa.inference.gate_evidence import in_random_order, metric_for, milliseconds_in_turns, range_notes
    from varjepa.inference.storage import load_model

    challenger, section = load_model(candidate.model, config.training.device), config.gate
    metric, notes = metric_for(challenger, config)
    frame = in_random_order(test_rows(candidate, config))
    if frame.is_empty():
        return _not_compared("no test row has a label to judge by")
    current, lost = _opened(champion, config)
    if champion is None or current is None:
        notes = (*notes, *filter(None, (candidate.baseline,)))
        verdict = judge(_alone(challenger, frame), None, metric=metric, groups={}, section=section, notes=notes)
        return verdict if not lost else replace(verdict, compared=lost)
    try:
        models = (challenger, current)
        rows, left_out = _fair_rows(candidate, champion, models, frame, config)
        both = [_gathered(model, rows, metric, models, challenger) for model in models]
        speeds = milliseconds_in_turns(models, rows)
        if section.latency_ratio is not None and speeds[0] > section.latency_ratio * speeds[1]:
            # A busy machine must not cause a veto, so a slow challenger is timed again with more turns.
            speeds = milliseconds_in_turns(models, rows, turns=20)
    except UserError as error:
        return _unreadable(champion, error)
    both = [replace(evidence, milliseconds=speed) for evidence, speed in zip(both, speeds, strict=True)]
    reference, more = _reference(candidate, models, champion, frame, metric=metric, config=config)
    return judge(
        both[0], both[1], metric=metric, groups=row_groups(rows, challenger.preprocessor.label, section.subgroups),
        section=section, classes=row_classes(rows, challenger.preprocessor.label), reference=reference,
        notes=(*notes, *range_notes(rows, challenger, current), *more, *left_out),
    )  # fmt: skip


def _opened(champion: int | None, config: RetrainConfig) -> tuple["TrainedModel | None", str]:
    """The champion; or None and, where there is one that cannot be read, words for the reason of the decision."""
    if champion is None:
        return None, ""
    try:
        uri, trust = tracking_uri(config.tracking), trusted(config.signing.trusted_keys)
        model = f"models:/{config.registry.name}/{champion}"
        return open_model(model, uri, config.training.device, trust=trust), ""
    except ModelError as error:
        lost = f"version {champion}, the champion, counts as none, because it cannot be read: {error}".rstrip(".")
        log.warning("gate: %s", lost)
        return None, lost


def _gathered(
    model: "TrainedModel",
    rows: "pl.DataFrame",
    metric: "Metric | None",
    models: tuple["TrainedModel", "TrainedModel"],
    splitter: "TrainedModel",
) -> "Evidence":
    """Evidence of one of the models (challenger, champion) on rows that the split of `splitter` has set apart."""
    from varjepa.evaluation.gate.groups import dependent_rows
    from varjepa.inference.gate_evidence import gather

    clusters = dependent_rows(rows, splitter.config.data.split)
    return replace(gather(model, rows, metric, *models), clusters=clusters)


def _alone(model: "TrainedModel", rows: "pl.DataFrame") -> "Evidence":
    """Evidence of the first version of a name, which is judged by its own properties alone."""
    from varjepa.inference.gate_evidence import gather_alone, milliseconds_in_turns

    (speed,) = milliseconds_in_turns([model], rows)
    return replace(gather_alone(model, rows), milliseconds=speed)


def _not_compared(words: str, *vetoes: "Veto") -> "Verdict":
    from varjepa.evaluation.gate.verdict import Verdict

    return Verdict("not compared", words, vetoes)


def _unreadable(champion: int, error: UserError) -> "Verdict":
    from varjepa.evaluation.gate.veto import Veto

    veto = Veto("contract", f"version {champion}, the champion, cannot read the test rows: {error}".rstrip("."))
    return _not_compared("there is nothing to compare the two models by", veto)


def test_rows(candidate: Candidate, config: RetrainConfig) -> "pl.DataFrame":
    """The raw test rows for the gate, in the order of the source; at most `gate.rows`, evenly spaced."""
    import polars as pl

    from varjepa.data.encode.preprocessor import Preprocessor
    from varjepa.data.read.sources import ROW
    from varjepa.data.read.spaced_rows import evenly_spaced
    from varjepa.inference.gate_evidence import judged_rows

    # Rows without a label are dropped twice: empty cells before counting, unreadable ones by `judged_rows`.
    label = Preprocessor.read(candidate.prepared.preprocessor).label
    rows = candidate.prepared.raw("test").drop(ROW)
    rows = rows if label is None else rows.filter(column(label.name).is_not_null())
    count = int(rows.select(pl.len()).collect(engine="streaming").item())
    return judged_rows(evenly_spaced(rows, count, config.gate.rows).collect(engine="streaming"), label)


def keep_rows(candidate: Candidate, version: int, config: RetrainConfig) -> None:
    """Stores rows with the run of the version, once, so that later challengers can be compared with it fairly.

    The test rows themselves; and hashes of the rows that the model has learned from, where only they can tell.
    """
    from mlflow.exceptions import MlflowException

    client = client_of(config.tracking)
    run_id = client.get_model_version(config.registry.name, str(version)).tags.get(RUN_TAG)
    try:
        if run_id is None or has_artifact(client, run_id, TEST_ROWS):
            return
    except MlflowException as error:
        log.warning("The run of version %d is gone, its test rows are not kept: %s", version, error)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The test rows are uploaded last: where they are, both are.
        learned, test = (Path(folder) / Path(name).name for name in (LEARNED_ROWS, TEST_ROWS))
        write_learned(candidate.prepared, learned)
        test_rows(candidate, config).write_parquet(test)
        for path in (learned, test):
            if path.is_file():
                client.log_artifact(run_id, str(path), str(Path(TEST_ROWS).parent))


def _reference(
    candidate: Candidate,
    models: tuple["TrainedModel", "TrainedModel"],
    version: int,
    frame: "pl.DataFrame",
    *,
    metric: "Metric | None",
    config: RetrainConfig,
) -> tuple["tuple[Evidence, Evidence] | None", tuple[str, ...]]:  # fmt: skip
    """Evidence of both models on the champion's test rows, if these were kept and differ from the challenger's.

    Rows that the challenger has learned from would hide what it does to others.
    """
    from varjepa.data.read.row_hash import row_hashes
    from varjepa.inference.gate_evidence import in_random_order, judged_rows

    if not config.gate.reference:
        return None, ()
    rows = kept_artifact(version, TEST_ROWS, config)
    if rows is None:
        return None, (f"the test rows of version {version} were not kept",)
    # The same rows in any order would only repeat the comparison.
    if set(row_hashes(rows.lazy()).tolist()) == set(row_hashes(frame.lazy()).tolist()):
        return None, ()
    try:
        rows = in_random_order(judged_rows(rows, models[0].preprocessor.label))
        seen = learned_by_challenger(candidate.prepared, models[0], rows)
        rest = rows.filter(~seen)
        notes = (
            f"{_share(seen)} test rows of version {version} are not used, as the challenger has learned from them",
        )
        if rest.height < max(1, min(config.gate.min_rows, rows.height)):
            return None, notes
        challenger, champion = (_gathered(model, rest, metric, models, models[1]) for model in models)
    except UserError as error:
        return None, (f"the models cannot be compared on the test rows of version {version}: {error}".rstrip("."),)
    return (challenger, champion), (notes if seen.any() else ())


def _share(seen: "Bools") -> str:
    return f"{seen.sum():,} of {len(seen):,}"


def _fair_rows(
    candidate: Candidate,
    version: int,
    models: tuple["TrainedModel", "TrainedModel"],
    frame: "pl.DataFrame",
    config: RetrainConfig,
) -> tuple["pl.DataFrame", tuple[str, ...]]:
    """The test rows that the champion, the second model, has not learned from; and a note where that favours it."""
    from varjepa.evaluation.gate.paired_tests import fewest_units

    if _same_parts(candidate, version, models, config):
        return frame, ()
    seen = learned_by_version(version, models[1], frame, config)
    if seen is None:
        return frame, _overlap_note(candidate, models)
    if not seen.any():
        return frame, ()
    if (~seen).sum() < fewest_units(config.gate.risk):
        few = f"the champion has learned from {_share(seen)} test rows, which favours it; the others are too few"
        return frame, (few,)
    return frame.filter(~seen), (f"{_share(seen)} test rows are not used, as the champion has learned from them",)


def _same_parts(
    candidate: Candidate, version: int, models: tuple["TrainedModel", "TrainedModel"], config: RetrainConfig
) -> bool:
    """Whether both models were made from the same rows by the same split, which gives the same parts."""
    client = client_of(config.tracking)
    tags: dict[str, Any] = client.get_model_version(config.registry.name, str(version)).tags
    now, before = (model.config.data for model in models)
    # Fingerprint of the source and number of rows: a contract may have removed other rows since.
    same_rows = (tags.get(FINGERPRINT_TAG), tags.get(ROWS_TAG)) == (candidate.fingerprint, str(candidate.rows))
    return same_rows and (now.split, now.rows, now.noise) == (before.split, before.rows, before.noise)


def _overlap_note(candidate: Candidate, models: tuple["TrainedModel", "TrainedModel"]) -> tuple[str, ...]:
    """A note if the champion, of whose training rows nothing is recorded, may have learned from these test rows."""
    # As recorded with the models: with the columns that a split by hash hashed.
    now, before = (model.config.data for model in models)
    # These splits keep a row in its part while the table grows. A hash of all columns does so while the columns stay.
    steady = now.split.by in ("hash", "column", "time") and now.split == before.split
    whole_rows = now.split.by == "hash" and now.split.columns == "all" and not now.split.column
    if steady and (not whole_rows or _columns(candidate) == trained_columns(models[1])):
        return ()
    why = "the columns have changed" if steady else f"rows are split by {now.split.by}"
    if now.split != before.split:
        why = "the split was different"
    return (f"the champion may have been trained on some of these test rows ({why}), which favours it",)


def _columns(candidate: Candidate) -> set[str]:
    import polars as pl

    from varjepa.data.read.sources import ROW

    return set(pl.scan_parquet(candidate.prepared.clean).collect_schema()) - {ROW}
