"""The search for better settings as a flow: one preprocessing, many trials, one look at the test rows."""

import time
from dataclasses import asdict
from pathlib import Path

from varjepa.config import RetrainConfig
from varjepa.tasks.answers.studies import TuneAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.orchestration.flow_runs import claimed
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import preprocess
from varjepa.tasks.retrain.pretrain import require_machine
from varjepa.tasks.retrain.validate import check_contract
from varjepa.tasks.sources.run_day import with_run_date
from varjepa.tasks.tuning.compare import Comparison, compare_on_test
from varjepa.tasks.tuning.record import comparison_metrics, log_search, log_trials, search_run
from varjepa.tasks.tuning.search import Limits, Search, opened_search
from varjepa.tasks.tuning.trial import run_trial
from varjepa.tasks.tuning.write import settings_before
from varjepa.tasks.work_store.opened import shared_work


@flow(name="tune", flow_run_name="tune {config.registry.name}", validate_parameters=True)
def tune(config: RetrainConfig, trials: int | None = 20, seconds: float | None = None) -> TuneAnswer:
    """Searches settings on validation rows. A search that was stopped goes on.

    Args:
        config: of the job.
        trials: finished trials in all, those of earlier searches of this job included; None: no limit.
        seconds: time for the trials. Afterwards no trial starts, and a running one stops after its epoch; None: no
            limit.

    Raises:
        UserError: the data or the configuration is invalid, or there was no time for a single trial.
        ContractError: the data broke its contract.
    """
    started, config = time.perf_counter(), with_run_date(config)
    with claimed(), lineage("tune", config.registry.name), shared_work(config.work):
        require_machine(config)
        snapshot = ingest(config)
        clean, config = check_contract(snapshot, config).clean, snapshot.told(config)
        # Once, for all trials: the search changes nothing that the encoded rows depend on.
        prepared = preprocess(clean, config)
        config = prepared.sized(config)
        with opened_search(prepared, config) as search, search_run(search, config) as run_id:
            log_search(run_id, config, search)
            limits = Limits.of(trials, seconds)
            while not limits.over(len(search.finished())):
                if run_trial(search, prepared, config, limits, run_id) is None or search.failure():
                    break  # the budget ended in the middle of a trial, or there is nothing to compare others with
            comparison = compare_on_test(search, prepared, config)
            log_trials(run_id, config, search, comparison_metrics(comparison))
            return answer(run_id, config, search, comparison, time.perf_counter() - started)


def answer(run_id: str, config: RetrainConfig, search: Search, comparison: Comparison, seconds: float) -> TuneAnswer:
    """The object that `tune --json` prints, as long as no config is written."""
    finished, best = search.finished(), search.best()
    settings = ({} if best is None else best.settings) | comparison.heads.get("settings", {})
    return {
        "run_id": run_id,
        "study": str(Path(search.folder)),
        "trials": [asdict(trial) for trial in finished],
        "best": {
            "trial": 0 if best is None else best.number,
            "settings": settings,
            "before": settings_before(config, settings),
        },
        "comparison": asdict(comparison) | {"sentence": comparison.sentence},
        "seconds": round(seconds, 2),
    }
