"""The main flow, step by step: from a table to a registered model and the gate."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow

from tasks.answers import RetrainAnswer
from tasks.orchestration.flow_runs import claimed
from tasks.release.card import CardFacts
from tasks.release.compare import Candidate
from tasks.release.gate import Decision, gate, require_subgroups
from tasks.release.predecessor import predecessor
from tasks.release.publish import publish_card, summarise
from tasks.release.register import Registered, register
from tasks.retrain.assemble import assemble
from tasks.retrain.assess_generator import assess_generator
from tasks.retrain.calibrate import calibrate
from tasks.retrain.compact import compact
from tasks.retrain.explain import explain
from tasks.retrain.few_labels import count_labels
from tasks.retrain.generate import generate
from tasks.retrain.ingest import Snapshot, ingest
from tasks.retrain.intervals import measure_intervals
from tasks.retrain.preprocess import preprocess
from tasks.retrain.pretrain import pretrain
from tasks.retrain.probe import probe
from tasks.retrain.record import log_prepared, log_setup, tracked_run
from tasks.retrain.reference import make_reference
from tasks.retrain.unchanged import job_digest
from tasks.retrain.validate import check_contract, contract_of, evidence
from tasks.sources.run_day import with_run_date
from tasks.steps.code import git_commit
from tasks.tracking.locks import model_lock
from tasks.tracking.runs import log_artifacts, log_results
from varjepa.config import RetrainConfig
from varjepa.errors import ContractError


class Stopwatch:
    """Adds up the duration of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.started = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Adds the time of the block under `name`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def report(self) -> dict[str, float]:
        """Seconds per step, and in total since the start."""
        rounded = {name: round(value, 2) for name, value in self.seconds.items()}
        return rounded | {"total": round(time.perf_counter() - self.started, 2)}


@flow(name="retrain", flow_run_name="retrain {config.registry.name}", validate_parameters=True)
def retrain(config: RetrainConfig, *, dry_run: bool = False) -> RetrainAnswer:
    """Makes a model version from a table.

    Args:
        config: of the job.
        dry_run: register and promote nothing, but report what the gate would decide.

    Raises:
        UserError: the data or the configuration is invalid.
        ContractError: the data broke its contract; nothing was trained or registered.
    """
    config = with_run_date(config)
    with claimed(), model_lock(config):
        watch = Stopwatch()
        with watch("ingest"):
            snapshot = ingest(config)
        return retrain_snapshot(config, snapshot, watch, dry_run=dry_run)


def retrain_snapshot(
    config: RetrainConfig, snapshot: Snapshot, watch: Stopwatch, *, dry_run: bool = False
) -> RetrainAnswer:
    """Makes a model version from a snapshot; resumes the run of a killed process that was doing the same job."""
    require_subgroups(list(snapshot.columns), config)
    with tracked_run(config, job_digest(config, snapshot)) as run_id:
        with watch("track"):
            log_setup(run_id, config, snapshot)
        facts, candidate = _make(config, snapshot, run_id, watch)
        return _hand_over(facts, candidate, watch, dry_run=dry_run)


def _make(config: RetrainConfig, snapshot: Snapshot, run_id: str, watch: Stopwatch) -> tuple[CardFacts, Candidate]:
    """From the snapshot to a finished model and its facts."""
    tracking = config.tracking
    # The files of the validation are stored with the run, whether it passed or not.
    try:
        with watch("validate"):
            validation = check_contract(snapshot, config)
    except ContractError:
        log_artifacts(run_id, tracking, evidence(snapshot, config))
        raise
    with watch("track"):
        log_artifacts(run_id, tracking, evidence(snapshot, config))

    config = snapshot.told(config)

    # The table as tensors, the network, and the generator on top of it.
    with watch("preprocess"):
        prepared = preprocess(validation.clean, config)
    with watch("track"):
        log_prepared(run_id, tracking, prepared)
    with watch("pretrain"):
        pretrained = pretrain(prepared, config, run_id)
    with watch("generate"):
        generated = generate(prepared, pretrained, config)
    with watch("compact"):
        compacted = compact(prepared, pretrained, config)

    # Measurements on rows that network and generator have not seen.
    with watch("probe"):
        probed = probe(prepared, pretrained, config)
    with watch("probe"):
        labelled = count_labels(prepared, pretrained, probed, config)
    with watch("calibrate"):
        calibrated = calibrate(prepared, pretrained, probed, config)
    with watch("assess"):
        assessed = assess_generator(prepared, pretrained, generated, config)
    with watch("reference"):
        referenced = make_reference(
            prepared, pretrained, generated=generated, probed=probed, calibrated=calibrated, config=config
        )
    metrics = labelled.metrics | probed.metrics | calibrated.metrics | generated.metrics
    metrics = defined(metrics | compacted.metrics | assessed.metrics)
    with watch("calibrate"):
        intervals = measure_intervals(probed, metrics) | calibrated.intervals

    # One folder for the registry, one set of facts for the card.
    with watch("assemble"):
        assembled = assemble(
            prepared, pretrained, generated=generated, compacted=compacted, probed=probed, calibrated=calibrated,
            referenced=referenced, config=config,
        )  # fmt: skip
    with watch("explain"):
        explained = explain(prepared, assembled, config)
    with watch("track"):
        facts = CardFacts(
            config=config, run_id=run_id, commit=git_commit(), snapshot=snapshot, contract=contract_of(config),
            validation=validation, prepared=prepared, pretrained=pretrained, metrics=metrics, intervals=intervals,
            decisions=probed.decisions | calibrated.decisions, before=predecessor(config),
            few_labels=labelled.facts,
        )  # fmt: skip
        artifacts = {"figures": calibrated.figures, "uncertainty": calibrated.tables}
        artifacts |= {"generation": assessed.tables} if assessed.tables is not None else {}
        artifacts |= {"labels": labelled.folder} if labelled.folder is not None else {}
        log_artifacts(run_id, tracking, artifacts)
        log_artifacts(run_id, tracking, {"figures": explained.figures})
    return facts, Candidate(assembled.model, prepared, snapshot.fingerprint, probed.decisions.get("raw columns", ""))


def _hand_over(facts: CardFacts, candidate: Candidate, watch: Stopwatch, *, dry_run: bool) -> RetrainAnswer:
    """Registers the model, lets the gate decide, and records both."""
    config, run_id, registered = facts.config, facts.run_id, None
    # A first card, which the registry needs as description; the final one below has version and decision.
    with watch("track"):
        card = publish_card(facts)
    if not dry_run:
        with watch("register"):
            registered = register(run_id, config, candidate, card)
    with watch("gate"):
        decision = gate(candidate, registered, config)
    with watch("track"):
        tags = {"varjepa.gate": decision.reason[:5000]} | ({"varjepa.model": registered.uri} if registered else {})
        tags |= {"head/name": facts.head} if facts.head else {}
        log_results(run_id, config.tracking, facts.metrics | decision.metrics, tags)
        if registered is not None:
            publish_card(facts.handed_over(registered.uri, decision.reason))
        summarise(card, config.registry.name, registered, decision)
    return answer(facts, registered, decision, watch)


def defined(metrics: dict[str, float]) -> dict[str, float]:
    """The metrics that are finite: without errors, for example, their ranking is undefined."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def answer(facts: CardFacts, registered: Registered | None, decision: Decision, watch: Stopwatch) -> RetrainAnswer:
    """The object that `retrain --json` prints."""
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
