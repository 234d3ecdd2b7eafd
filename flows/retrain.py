"""The main flow, step by step: from a table to a registered model and the gate."""

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

from prefect import flow

from tasks.orchestration.flow_runs import claimed
from tasks.release.card import CardFacts
from tasks.release.compare import Candidate
from tasks.release.gate import Decision, gate, require_subgroups
from tasks.release.predecessor import predecessor
from tasks.release.publish import publish_card, summarise
from tasks.release.register import Registered, register
from tasks.retrain.assess_generator import assess_generator
from tasks.retrain.calibrate import calibrate
from tasks.retrain.generate import generate
from tasks.retrain.ingest import Snapshot, ingest
from tasks.retrain.intervals import measure_intervals
from tasks.retrain.preprocess import preprocess
from tasks.retrain.pretrain import pretrain
from tasks.retrain.probe import probe
from tasks.retrain.record import log_prepared, log_setup, tracked_run
from tasks.retrain.reference import profile_model
from tasks.retrain.unchanged import job_digest
from tasks.retrain.validate import check_contract, contract_of, evidence
from tasks.steps.code import git_commit
from tasks.tracking.locks import model_lock
from tasks.tracking.runs import log_artifacts, log_results
from varjepa.config import RetrainConfig
from varjepa.errors import ContractError

_T = TypeVar("_T")


class Stopwatch:
    """Calls steps and remembers how long each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.started = time.perf_counter()

    def __call__(self, name: str, step: Callable[..., _T], *arguments: Any) -> _T:
        """Calls `step` with the arguments and adds its time under `name`."""
        began = time.perf_counter()
        try:
            return step(*arguments)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def report(self) -> dict[str, float]:
        """Seconds per step, and in total since the start."""
        rounded = {name: round(value, 2) for name, value in self.seconds.items()}
        return rounded | {"total": round(time.perf_counter() - self.started, 2)}


@flow(name="retrain", flow_run_name="retrain {config.registry.name}", validate_parameters=True)
def retrain(config: RetrainConfig, *, dry_run: bool = False) -> dict[str, Any]:
    """Makes a model version from a table: the object that `varjepa retrain --json` prints.

    Args:
        config: of the job.
        dry_run: register nothing and move nothing, but say what the gate would decide.

    Raises:
        UserError: the data or the configuration is at fault.
        ContractError: the data broke its contract; nothing was trained or registered.
    """
    with claimed(), model_lock(config):
        watch = Stopwatch()
        return retrain_snapshot(config, watch("ingest", ingest, config.data), watch, dry_run=dry_run)


def retrain_snapshot(
    config: RetrainConfig, snapshot: Snapshot, watch: Stopwatch, *, dry_run: bool = False
) -> dict[str, Any]:
    """Makes a model version from a snapshot; goes on where a killed process was doing the same."""
    require_subgroups(list(snapshot.columns), config)
    with tracked_run(config, job_digest(config, snapshot)) as run_id:
        watch("track", log_setup, run_id, config, snapshot)
        return _retrain(config, snapshot, run_id, watch, dry_run=dry_run)


def _retrain(
    config: RetrainConfig, snapshot: Snapshot, run_id: str, watch: Stopwatch, *, dry_run: bool
) -> dict[str, Any]:
    tracking = config.tracking
    try:
        validation = watch("validate", check_contract, snapshot, config)
    except ContractError:
        log_artifacts(run_id, tracking, evidence(snapshot, config))
        raise
    watch("track", log_artifacts, run_id, tracking, evidence(snapshot, config))
    prepared = watch("preprocess", preprocess, validation.clean, config.data, config.preprocess)
    watch("track", log_prepared, run_id, tracking, prepared)
    pretrained = watch("pretrain", pretrain, prepared, config, run_id)
    generated = watch("generate", generate, prepared, pretrained, config)
    probed = watch("probe", probe, prepared, pretrained, config)
    calibrated = watch("calibrate", calibrate, prepared, pretrained, generated, probed, config)
    assessed = watch("assess", assess_generator, calibrated.model, prepared, config)
    profiled = watch("profile", profile_model, calibrated.model, prepared, config)
    metrics = defined(probed.metrics | calibrated.metrics | assessed.metrics)
    intervals = watch("calibrate", measure_intervals, probed, metrics)
    facts = CardFacts(
        config, run_id, git_commit(), snapshot, contract_of(config), validation, prepared, pretrained, metrics,
        intervals, calibrated.said, watch("track", predecessor, config),
    )  # fmt: skip
    found = {"figures": calibrated.figures, "uncertainty": calibrated.tables}
    found |= {"generation": assessed.tables} if assessed.tables is not None else {}
    watch("track", log_artifacts, run_id, tracking, found)
    card = watch("track", publish_card, facts)
    candidate = Candidate(profiled.model, prepared, snapshot.fingerprint)
    registered = None if dry_run else watch("register", register, run_id, config, candidate, card)
    decision = watch("gate", gate, candidate, registered, config)
    facts_found = {"varjepa.gate": decision.reason[:5000]} | ({"varjepa.model": registered.uri} if registered else {})
    watch("track", log_results, run_id, tracking, metrics | decision.metrics, facts_found)
    if registered is not None:
        watch("track", publish_card, facts.handed_over(registered.uri, decision.reason))
    watch("track", summarise, card, config.registry.name, registered, decision)
    return answer(facts, registered, decision, watch)


def defined(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are numbers: a ranking of errors, say, does not exist where there are none."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def answer(facts: CardFacts, registered: Registered | None, decision: Decision, watch: Stopwatch) -> dict[str, Any]:
    """What `retrain --json` prints."""
    return {
        "run_id": facts.run_id,
        "model": {
            "name": facts.config.registry.name,
            "version": registered.version if registered else None,
            "uri": registered.uri if registered else None,
            "aliases": decision.aliases,
        },
        "data": {
            "rows": facts.snapshot.rows,
            "quarantined": facts.validation.quarantined,
            "fingerprint": facts.snapshot.fingerprint,
            "features": facts.prepared.features,
        },
        "metrics": facts.metrics | decision.metrics,
        "promoted": decision.promoted,
        "reason": decision.reason,
        "seconds": watch.report(),
    }
