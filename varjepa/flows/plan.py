"""The plan of a retrain: reads, validates and encodes the table, and says what the run would do."""

from collections.abc import Collection

from varjepa.config import RetrainConfig
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.splits import PARTS
from varjepa.flows.stopwatch import STEPS
from varjepa.tasks.answers.retrain import PlanAnswer
from varjepa.tasks.retrain import generate, pretrain
from varjepa.tasks.retrain.estimate import Estimate, estimate, measured_pace, quick_estimate
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import Prepared, preprocess
from varjepa.tasks.retrain.validate import check_contract
from varjepa.tasks.sources.run_day import with_run_date
from varjepa.tasks.steps.orchestrated import go_without, one_run
from varjepa.tasks.steps.reuse import DONE

LONG = {"pretrain": "training", "generate": "generator"}
"""Long steps, and what their time is called in an estimate."""


def plan(config: RetrainConfig) -> PlanAnswer:
    """What a retrain would do. Encoded rows are kept for the run itself; no run and no version is recorded.

    Raises:
        UserError: the data or the configuration is invalid.
        ContractError: the data broke its contract.
    """
    with one_run():
        go_without("A plan needs no Prefect.", quiet=True)
        return _planned(config)


def _planned(config: RetrainConfig) -> PlanAnswer:
    config = with_run_date(config)
    pretrain.require_machine(config)
    snapshot = ingest(config)
    validation = check_contract(snapshot, config)
    config = snapshot.told(config)
    prepared = preprocess(validation.clean, config)
    config = prepared.sized(config)
    pace = measured_pace(prepared, config)
    there = reused(prepared, config)
    whole, quick = to_come(estimate(prepared, config, pace), there), quick_estimate(prepared, config, pace)
    return {
        "plan": True,
        "model": config.registry.name,
        "data": {"rows": snapshot.rows, "quarantined": validation.quarantined, "fingerprint": snapshot.fingerprint,
                 "features": prepared.features},
        "source_rows": snapshot.source_rows,
        "columns": columns(prepared),
        "left_out": prepared.left_out,
        "parts": {name: prepared.parts[name] for name in PARTS if name in prepared.parts},
        "epochs": config.training.max_epochs,
        "size": {key: getattr(config.model, key) for key in ("d_hidden", "n_layers")},
        "steps": list(STEPS),
        "reused": there,
        "seconds": {**{name: round(value) for name, value in whole._asdict().items()}, "total": round(whole.total)},
        "quick_seconds": round(quick.total),
    }  # fmt: skip


def to_come(whole: Estimate, reused: Collection[str]) -> Estimate:
    """Seconds without those of long steps whose results are there already.

    Examples:
        >>> to_come(Estimate(training=60.0, generator=30.0, rest=5.0), ["ingest", "pretrain"]).total
        35.0
    """
    return whole._replace(**{part: 0.0 for step, part in LONG.items() if step in reused})


def columns(prepared: Prepared) -> dict[str, str]:
    """Columns that features are made from -> their kind, and the label."""
    fitted = Preprocessor.read(prepared.preprocessor)
    return fitted.kinds | ({} if fitted.label is None else {fitted.label.name: "label"})


def reused(prepared: Prepared, config: RetrainConfig) -> list[str]:
    """Long steps whose results are there already; those that a plan makes itself are reused, too."""
    training = pretrain.training_folder(prepared, config)
    generator = generate.STEP.folder(config, str(training / pretrain.NETWORK))
    found = {"pretrain": training, "generate": generator}
    short = ["ingest", "validate", "preprocess"]
    return short + [name for name, folder in found.items() if (folder / DONE).is_file()]
