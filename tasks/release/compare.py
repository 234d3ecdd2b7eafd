"""Lets a challenger and the champion of a registered name meet on the same test rows."""

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

    from varjepa.evaluation.gate.evidence import Evidence, Metric
    from varjepa.evaluation.gate.verdict import Verdict
    from varjepa.inference.model import TrainedModel

TEST_ROWS = "gate/test_rows.parquet"
"""Artifact of a version's run: the test rows that it was judged on."""


@dataclass(frozen=True)
class Candidate:
    """A finished model that is not judged yet.

    Attributes:
        model: its folder.
        prepared: the rows it was made from.
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
    """Judges a candidate against a version of the registry, or alone where there is none."""
    from varjepa.evaluation.gate.groups import row_groups
    from varjepa.evaluation.gate.verdict import judge
    from varjepa.inference.gate_evidence import gather, gather_alone, metric_for, milliseconds_in_turns
    from varjepa.inference.storage import load_model

    challenger, section = load_model(candidate.model, config.training.device), config.gate
    metric, notes = metric_for(challenger, config)
    frame = test_rows(candidate, config)
    groups = row_groups(frame, challenger.preprocessor.label, section.subgroups)
    if champion is None:
        (speed,) = milliseconds_in_turns([challenger], frame)
        evidence = replace(gather_alone(challenger, frame), milliseconds=speed)
        return judge(evidence, None, metric=metric, groups=groups, section=section, notes=notes)
    uri = tracking_uri(config.tracking)
    try:
        reigning = open_model(f"models:/{config.registry.name}/{champion}", uri, config.training.device)
        both = [gather(one, frame, metric, challenger) for one in (challenger, reigning)]
        speeds = milliseconds_in_turns([challenger, reigning], frame)
        if section.latency_ratio is not None and speeds[0] > section.latency_ratio * speeds[1]:
            speeds = milliseconds_in_turns([challenger, reigning], frame, turns=20)  # a busy machine is no reason
    except UserError as error:
        return _unreadable(champion, error)
    both = [replace(one, milliseconds=speed) for one, speed in zip(both, speeds, strict=True)]
    reference, more = _reference((challenger, reigning), champion, frame, metric, config)
    notes = (*notes, *more, *_seen(candidate, champion, reigning, config))
    return judge(both[0], both[1], metric=metric, groups=groups, section=section, reference=reference, notes=notes)


def _unreadable(champion: int, error: UserError) -> "Verdict":
    from varjepa.evaluation.gate.verdict import Verdict
    from varjepa.evaluation.gate.vetoes import Veto

    veto = Veto("contract", f"version {champion}, the champion, cannot read the test rows: {error}".rstrip("."))
    return Verdict("not compared", "there is nothing to compare the two models by", (veto,))


def test_rows(candidate: Candidate, config: RetrainConfig) -> "pl.DataFrame":
    """The raw test rows that count, in the order of the source; at most `gate.rows`, evenly spaced."""
    import polars as pl

    from varjepa.data.encode.preprocessor import Preprocessor
    from varjepa.data.read.sources import ROW
    from varjepa.data.read.spaced_rows import evenly_spaced
    from varjepa.inference.gate_evidence import judged_rows

    label = Preprocessor.read(candidate.prepared.preprocessor).label
    rows = candidate.prepared.raw("test").drop(ROW)
    rows = rows if label is None else rows.filter(pl.col(label.name).is_not_null())
    count = int(rows.select(pl.len()).collect(engine="streaming").item())
    return judged_rows(evenly_spaced(rows, count, config.gate.rows).collect(engine="streaming"), label)


def keep_test_rows(candidate: Candidate, run_id: str, config: RetrainConfig) -> None:
    """Puts the test rows among the artifacts of the run, for the challengers to come."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(TEST_ROWS).name
        test_rows(candidate, config).write_parquet(path)
        client = client_of(config.tracking)
        client.log_artifact(run_id, str(path), str(Path(TEST_ROWS).parent))


def _reference(
    models: tuple["TrainedModel", "TrainedModel"],
    version: int,
    frame: "pl.DataFrame",
    metric: "Metric | None",
    config: RetrainConfig,
) -> tuple["tuple[Evidence, Evidence] | None", tuple[str, ...]]:  # fmt: skip
    """Both models on the champion's own test rows, where those are kept and are other ones."""
    from varjepa.data.read.row_hash import row_hashes
    from varjepa.inference.gate_evidence import gather, judged_rows

    if not config.gate.reference:
        return None, ()
    rows = _kept_rows(version, config)
    if rows is None:
        return None, (f"version {version} has kept no test rows of its own",)
    if set(row_hashes(rows.lazy()).tolist()) == set(row_hashes(frame.lazy()).tolist()):
        return None, ()
    try:
        rows = judged_rows(rows, models[0].preprocessor.label)
        return (gather(models[0], rows, metric, models[0]), gather(models[1], rows, metric, models[0])), ()
    except UserError as error:
        return None, (f"the test rows of version {version} cannot be compared on: {error}".rstrip("."),)


def _kept_rows(version: int, config: RetrainConfig) -> "pl.DataFrame | None":
    import polars as pl

    client = client_of(config.tracking)
    run_id = client.get_model_version(config.registry.name, str(version)).tags.get(RUN_TAG)
    folder = str(Path(TEST_ROWS).parent)
    try:
        if run_id is None or not any(file.path == TEST_ROWS for file in client.list_artifacts(run_id, folder)):
            return None
        with tempfile.TemporaryDirectory() as place:
            return pl.read_parquet(client.download_artifacts(run_id, TEST_ROWS, place))
    except Exception as error:  # noqa: BLE001 (a run or a file that somebody deleted is no reason to fail)
        log.warning("The test rows of version %d cannot be read: %s", version, error)
        return None


def _seen(candidate: Candidate, champion: int, reigning: "TrainedModel", config: RetrainConfig) -> tuple[str, ...]:
    """A note where the champion may have learned from the challenger's test rows."""
    client = client_of(config.tracking)
    tags: dict[str, Any] = client.get_model_version(config.registry.name, str(champion)).tags
    here, there = config.data, reigning.config.data
    same_rows = (tags.get(FINGERPRINT_TAG), tags.get(ROWS_TAG)) == (candidate.fingerprint, str(candidate.rows))
    same_split = (here.split, here.rows, here.noise) == (there.split, there.rows, there.noise)
    if same_split and same_rows:
        return ()
    steady = here.split.by in ("hash", "column", "time") and here.split == there.split
    if steady and (here.split.by != "hash" or here.split.column or _columns(candidate) == _told(reigning)):
        return ()
    why = "the columns have changed" if steady else f"rows are divided by {here.split.by}"
    if here.split != there.split:
        why = "the rows were divided otherwise"
    return (f"the champion may have learned from some of these test rows ({why}), which favours it",)


def _columns(candidate: Candidate) -> set[str]:
    import polars as pl

    from varjepa.data.read.sources import ROW

    return set(pl.scan_parquet(candidate.prepared.clean).collect_schema()) - {ROW}


def _told(model: "TrainedModel") -> set[str]:
    """Columns of the table that a model was made from, as far as it knows them."""
    data, label = model.config.data, model.preprocessor.label
    return {*model.preprocessor.order, *model.preprocessor.left_out, *data.drop, *([label.name] if label else [])}
