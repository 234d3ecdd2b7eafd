"""The main flow, step by step: from a table to a registered model and the gate."""

import math
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.errors import ContractError
from varjepa.flows.stopwatch import Stopwatch
from varjepa.tasks.answers.retrain import RetrainAnswer
from varjepa.tasks.lineage.record import writes
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.lineage.tables import model
from varjepa.tasks.notify.events import failures_told, in_run, tell_decision
from varjepa.tasks.orchestration.flow_runs import claim_turn, claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.release.card import CardFacts
from varjepa.tasks.release.compare import Candidate
from varjepa.tasks.release.gate import Decision, gate
from varjepa.tasks.release.predecessor import predecessor
from varjepa.tasks.release.publish import publish_card, publish_report, summarise
from varjepa.tasks.release.register import Registered, register
from varjepa.tasks.reports.keep_life import keep_life
from varjepa.tasks.retrain.assemble import assemble
from varjepa.tasks.retrain.assess_generator import assess_generator
from varjepa.tasks.retrain.beside import generator_beside
from varjepa.tasks.retrain.calibrate import calibrate
from varjepa.tasks.retrain.compact import compact
from varjepa.tasks.retrain.estimate import announce, announce_rest
from varjepa.tasks.retrain.explain import explain
from varjepa.tasks.retrain.few_labels import count_labels
from varjepa.tasks.retrain.generate import generate
from varjepa.tasks.retrain.ingest import Snapshot, ingest
from varjepa.tasks.retrain.intervals import measure_intervals
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.retrain.pretrain import pretrain, require_machine
from varjepa.tasks.retrain.probe import probe
from varjepa.tasks.retrain.record import log_prepared, log_setup, tracked_run
from varjepa.tasks.retrain.reference import make_reference
from varjepa.tasks.retrain.unchanged import job_digest
from varjepa.tasks.retrain.validate import check_contract, contract_of, evidence
from varjepa.tasks.signing.keys import require_keys
from varjepa.tasks.sources.run_day import with_run_date
from varjepa.tasks.steps.code import git_commit
from varjepa.tasks.steps.reuse import own_results_known
from varjepa.tasks.tracking.runs import log_artifacts
from varjepa.tasks.tracking.uris import tracking_uri
from varjepa.tasks.work_store.opened import model_turn


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
    with (
        claimed(), own_results_known(), lineage("retrain", config.registry.name), failures_told(config),
        model_turn(config),
    ):  # fmt: skip
        require_keys(config.signing, sign=not dry_run)
        require_machine(config)
        claim_turn()
        watch = Stopwatch()
        with watch("ingest"):
            snapshot = ingest(config)
        return retrain_snapshot(config, snapshot, watch, dry_run=dry_run)


def retrain_snapshot(
    config: RetrainConfig, snapshot: Snapshot, watch: Stopwatch, *, dry_run: bool = False
) -> RetrainAnswer:
    """Makes a model version from a snapshot; resumes the run of a killed process that was doing the same job."""
    with tracked_run(config, job_digest(config, snapshot)) as run_id:
        in_run(run_id)
        with watch("track"):
            log_setup(run_id, config, snapshot)
        facts, candidate = _make(config, snapshot, run_id, watch)
        return _hand_over(facts, candidate, watch, dry_run=dry_run)


def _make(config: RetrainConfig, snapshot: Snapshot, run_id: str, watch: Stopwatch) -> tuple[CardFacts, Candidate]:
    """From the snapshot to a finished model and its facts."""
    # The files of the validation are stored with the run, whether it passed or not.
    try:
        with watch("validate"):
            validation = check_contract(snapshot, config)
    except ContractError:
        log_artifacts(run_id, config.tracking, evidence(snapshot, config))
        raise
    with watch("track"):
        log_artifacts(run_id, config.tracking, evidence(snapshot, config))

    config = snapshot.told(config)

    # The table as tensors, the network, and the generator on top of it.
    with watch("preprocess"):
        prepared = preprocess(validation.clean, config)
    config = prepared.sized(config)
    with watch("track"):
        log_prepared(run_id, config, prepared)
    with watch("estimate"):
        first = announce(prepared, config)
    with watch("pretrain"):
        pretrained = pretrain(prepared, config, run_id)
    announce_rest(first, config, watch.seconds["pretrain"], len(pretrained.curves()))
    with generator_beside(prepared, pretrained, config) as generator_ended:
        with watch("compact"):
            compacted = compact(prepared, pretrained, config)

        # Measurements on rows that network and generator have not seen.
        with watch("probe"):
            probed = probe(prepared, pretrained, config)
        with watch("probe"):
            labelled = count_labels(prepared, pretrained, probed, config)
        with watch("calibrate"):
            calibrated = calibrate(prepared, pretrained, probed, config)
        with watch("generate"):
            generator_ended()
            generated = generate(prepared, pretrained, config)
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
            few_labels=labelled.facts, figures=(calibrated.figures, explained.figures),
        )  # fmt: skip
        artifacts: dict[str, Path | tuple[Path, ...]] = {"figures": facts.figures, "uncertainty": calibrated.tables}
        artifacts |= {"generation": assessed.tables} if assessed.tables is not None else {}
        artifacts |= {"labels": labelled.folder} if labelled.folder is not None else {}
        log_artifacts(run_id, config.tracking, artifacts | probed.choice)
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
        writes(model(registered.name, registered.version, tracking_uri(config.tracking)))
    with watch("gate"):
        decision = gate(candidate, registered, config, lambda decision: _publish(facts, card, registered, decision))
    tell_decision(config, run_id, registered, decision)
    if registered is not None:
        with watch("track"):
            keep_life(registered.name, tracking_uri(config.tracking))
    return answer(facts, registered, decision, watch)


def _publish(facts: CardFacts, card: str, registered: Registered | None, decision: Decision) -> None:
    """Records the gate's decision. It takes effect afterwards, so that nothing can fail once the champion has moved."""
    config = facts.config
    if registered is not None:
        facts = facts.handed_over(registered.uri, decision.reason)
        publish_card(facts)
    publish_report(facts, decision)
    summarise(card, config.registry.name, registered, decision)


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
