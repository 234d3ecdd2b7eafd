"""Compares a challenger with the champion of its name on the same test rows."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.registry.open_model import open_model
from tasks.registry.tags import FINGERPRINT_TAG, ROWS_TAG, RUN_TAG
from tasks.retrain.preprocess import Prepared
from tasks.steps.log import log
from tasks.tracking.store import client_of
from tasks.tracking.uris import tracking_uri
from varjepa.config import RetrainConfig
from varjepa.errors import UserError

if TYPE_CHECKING:
    import polars as pl
    from mlflow import MlflowClient

    from varjepa.evaluation.gate.evidence import Evidence, Metric
    from varjepa.evaluation.gate.verdict import Verdict
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
    """

    model: Path
    prepared: Prepared
    fingerprint: str

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(self.prepared.parts.values())


def compare(candidate: Candidate, champion: int | None, config: RetrainConfig) -> "Verdict":
    """Judges a candidate against the champion's version, or alone where there is no champion."""
    from varjepa.evaluation.gate.groups import row_groups
    from varjepa.evaluation.gate.verdict import judge
    from varjepa.inference.gate_evidence import gather, gather_alone, metric_for, milliseconds_in_turns
    from varjepa.inference.storage import load_model

    challenger, section = load_model(candidate.model, config.training.device), config.gate
    metric, notes = metric_for(challenger, config)
    frame = test_rows(candidate, config)
    groups = row_groups(frame, challenger.preprocessor.label, section.subgroups)
    if champion is None:  # the first version of a name is judged by its own properties alone
        (speed,) = milliseconds_in_turns([challenger], frame)
        evidence = replace(gather_alone(challenger, frame), milliseconds=speed)
        return judge(evidence, None, metric=metric, groups=groups, section=section, notes=notes)
    uri = tracking_uri(config.tracking)
    try:
        current = open_model(f"models:/{config.registry.name}/{champion}", uri, config.training.device)
        both = [gather(model, frame, metric, challenger, current) for model in (challenger, current)]
        speeds = milliseconds_in_turns([challenger, current], frame)
        if section.latency_ratio is not None and speeds[0] > section.latency_ratio * speeds[1]:
            # A busy machine must not cause a veto, so a slow challenger is timed again with more turns.
            speeds = milliseconds_in_turns([challenger, current], frame, turns=20)
    except UserError as error:
        return _unreadable(champion, error)
    both = [replace(evidence, milliseconds=speed) for evidence, speed in zip(both, speeds, strict=True)]
    reference, more = _reference((challenger, current), champion, frame, metric, config)
    notes = (*notes, *more, *_overlap_note(candidate, champion, (challenger, current), config))
    return judge(both[0], both[1], metric=metric, groups=groups, section=section, reference=reference, notes=notes)


def _unreadable(champion: int, error: UserError) -> "Verdict":
    from varjepa.evaluation.gate.verdict import Verdict
    from varjepa.evaluation.gate.veto import Veto

    veto = Veto("contract", f"version {champion}, the champion, cannot read the test rows: {error}".rstrip("."))
    return Verdict("not compared", "there is nothing to compare the two models by", (veto,))


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
    rows = rows if label is None else rows.filter(pl.col(label.name).is_not_null())
    count = int(rows.select(pl.len()).collect(engine="streaming").item())
    return judged_rows(evenly_spaced(rows, count, config.gate.rows).collect(engine="streaming"), label)


def keep_test_rows(candidate: Candidate, version: int, config: RetrainConfig) -> None:
    """Stores the test rows with the run of the version, once, so that later challengers can be compared on them."""
    from mlflow.exceptions import MlflowException

    client = client_of(config.tracking)
    run_id = client.get_model_version(config.registry.name, str(version)).tags.get(RUN_TAG)
    try:
        if run_id is None or _has_test_rows(client, run_id):
            return
    except MlflowException as error:
        log.warning("The run of version %d is gone, its test rows are not kept: %s", version, error)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(TEST_ROWS).name
        test_rows(candidate, config).write_parquet(path)
        client.log_artifact(run_id, str(path), str(Path(TEST_ROWS).parent))


def _has_test_rows(client: "MlflowClient", run_id: str) -> bool:
    return any(file.path == TEST_ROWS for file in client.list_artifacts(run_id, str(Path(TEST_ROWS).parent)))


def _reference(
    models: tuple["TrainedModel", "TrainedModel"],
    version: int,
    frame: "pl.DataFrame",
    metric: "Metric | None",
    config: RetrainConfig,
) -> tuple["tuple[Evidence, Evidence] | None", tuple[str, ...]]:  # fmt: skip
    """Evidence of both models on the champion's test rows, if these were kept and differ from the challenger's."""
    from varjepa.data.read.row_hash import row_hashes
    from varjepa.inference.gate_evidence import gather, judged_rows

    if not config.gate.reference:
        return None, ()
    rows = _kept_rows(version, config)
    if rows is None:
        return None, (f"the test rows of version {version} were not kept",)
    # The same rows in any order would only repeat the comparison.
    if set(row_hashes(rows.lazy()).tolist()) == set(row_hashes(frame.lazy()).tolist()):
        return None, ()
    try:
        rows = judged_rows(rows, models[0].preprocessor.label)
        return (gather(models[0], rows, metric, *models), gather(models[1], rows, metric, *models)), ()
    except UserError as error:
        return None, (f"the models cannot be compared on the test rows of version {version}: {error}".rstrip("."),)


def _kept_rows(version: int, config: RetrainConfig) -> "pl.DataFrame | None":
    import polars as pl

    client = client_of(config.tracking)
    run_id = client.get_model_version(config.registry.name, str(version)).tags.get(RUN_TAG)
    try:
        if run_id is None or not _has_test_rows(client, run_id):
            return None
        with tempfile.TemporaryDirectory() as place:
            return pl.read_parquet(client.download_artifacts(run_id, TEST_ROWS, place))
    except Exception as error:  # noqa: BLE001 (a deleted run or file must not fail the gate)
        log.warning("The test rows of version %d cannot be read: %s", version, error)
        return None


def _overlap_note(
    candidate: Candidate, champion: int, models: tuple["TrainedModel", "TrainedModel"], config: RetrainConfig
) -> tuple[str, ...]:
    """A note if the champion, the second model, may have been trained on the challenger's test rows."""
    client = client_of(config.tracking)
    tags: dict[str, Any] = client.get_model_version(config.registry.name, str(champion)).tags
    # As recorded with the models: with the columns that a split by hash hashed.
    now, before = (model.config.data for model in models)
    # The same rows and the same split give the same parts, whatever the kind of split.
    # Fingerprint of the source and number of rows: a contract may have removed other rows since.
    same_rows = (tags.get(FINGERPRINT_TAG), tags.get(ROWS_TAG)) == (candidate.fingerprint, str(candidate.rows))
    same_split = (now.split, now.rows, now.noise) == (before.split, before.rows, before.noise)
    if same_split and same_rows:
        return ()
    # These splits keep a row in its part while the table grows. A hash of all columns does so while the columns stay.
    steady = now.split.by in ("hash", "column", "time") and now.split == before.split
    whole_rows = now.split.by == "hash" and now.split.columns == "all" and not now.split.column
    if steady and (not whole_rows or _columns(candidate) == _trained_columns(models[1])):
        return ()
    why = "the columns have changed" if steady else f"rows are split by {now.split.by}"
    if now.split != before.split:
        why = "the split was different"
    return (f"the champion may have been trained on some of these test rows ({why}), which favours it",)


def _columns(candidate: Candidate) -> set[str]:
    import polars as pl

    from varjepa.data.read.sources import ROW

    return set(pl.scan_parquet(candidate.prepared.clean).collect_schema()) - {ROW}


def _trained_columns(model: "TrainedModel") -> set[str]:
    """Columns of the table on which a model was trained, as far as they are recorded."""
    data, label = model.config.data, model.preprocessor.label
    return {*model.preprocessor.order, *model.preprocessor.left_out, *data.drop, *([label.name] if label else [])}
