"""One trial of a search: trains a changed job without its labels, and measures it on validation rows."""

import math
import time
from typing import TYPE_CHECKING

import torch

from varjepa.amounts import figure
from varjepa.config import RetrainConfig
from varjepa.config.durations import in_words
from varjepa.config.operations import TrackingSection
from varjepa.errors import VarjepaError
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import CHECKPOINT, trained_network, training_folder
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.tracking.runs import CurveLogger, nested_run
from varjepa.tasks.tuning.measure import Criterion, criterion_of
from varjepa.tasks.tuning.record import log_trial, note_trial
from varjepa.tasks.tuning.search import Finished, Limits, Search, State
from varjepa.tuning.space import with_settings

if TYPE_CHECKING:
    from optuna.trial import Trial


class Pruned(Exception):  # noqa: N818 (no error: the trial is judged)
    """The trial is worse than the median of earlier ones after as many epochs."""


class OutOfTime(Exception):  # noqa: N818 (no error: the trial goes on in the next run)
    """The budget ended between two epochs of a trial."""


class TrialCurves(CurveLogger):
    """Logs the curves of a trial, hands its scores to the study, and ends it early.

    Args:
        run_id: run of the trial.
        tracking: its store.
        trial: of the study.
        metric: of an epoch; lower is better.
        last: number of the last epoch, at which nothing is gained by ending it early.
        limits: of the search.
    """

    def __init__(
        self, run_id: str, tracking: TrackingSection, *, trial: "Trial", metric: str, last: int, limits: Limits
    ) -> None:
        super().__init__(run_id, tracking)
        self.trial, self.metric, self.last, self.limits = trial, metric, last, limits
        self.epochs = 0

    def log(self, metrics: dict[str, float]) -> None:
        """Logs one epoch.

        Raises:
            Pruned: the trial is not promising.
            OutOfTime: the budget is spent.
        """
        super().log(metrics)
        epoch = int(metrics["epoch"])
        if epoch < self.epochs:  # the curves of a reused or finished training come once more
            return
        self.epochs = epoch + 1
        score = metrics.get(self.metric, math.nan)
        if math.isfinite(score):
            self.trial.report(score, epoch)
        if epoch >= self.last:
            return
        if math.isfinite(score) and self.trial.should_prune():
            raise Pruned
        if self.limits.out_of_time():
            raise OutOfTime


@task(name="trial", task_run_name="trial")
def run_trial(
    search: Search, prepared: Prepared, config: RetrainConfig, limits: Limits, parent_id: str
) -> Finished | None:
    """Runs the next trial of a search.

    Returns:
        Its end; None if the budget ended in the middle of it, so that the next search goes on with it.
    """
    trial, criterion, started = search.next(), criterion_of(prepared, config), time.perf_counter()
    changed = with_settings(config, search.settings(trial))
    with nested_run(config.tracking, parent_id, step="trial", name=f"trial {trial.number}") as run_id:
        log_trial(run_id, changed, trial.number, search.settings(trial))
        curves = TrialCurves(
            run_id, config.tracking, trial=trial, metric=criterion.epoch_metric, last=config.training.max_epochs - 1,
            limits=limits,
        )  # fmt: skip
        try:
            state, value, reason = _trained(prepared, changed, criterion, curves)
        except OutOfTime:
            search.give_back(trial)
            note_trial(run_id, config, "interrupted", {})
            return None
        ended = Finished(
            trial.number, state, value, search.settings(trial), curves.epochs, time.perf_counter() - started, run_id,
            reason,
        )  # fmt: skip
        note_trial(run_id, config, state, {} if value is None else {"tune/value": value})
    search.end(trial, ended)
    _say(ended, search, limits)
    return ended


def _trained(
    prepared: Prepared, config: RetrainConfig, criterion: Criterion, curves: TrialCurves
) -> tuple[State, float | None, str]:
    """Trains and measures a job: (state, value, why it failed)."""
    try:
        pretrained = trained_network(prepared, config, curves, lambda _: criterion.evaluator())
        value = criterion.losses(pretrained, config, "validation").mean
    except Pruned:
        (training_folder(prepared, config) / CHECKPOINT).unlink(missing_ok=True)
        return "pruned", None, ""
    # Settings may be beyond what the machine can hold, or make training diverge: a bad trial, and no reason to stop.
    except (VarjepaError, MemoryError, torch.OutOfMemoryError) as error:
        return "failed", None, str(error) or type(error).__name__
    if not math.isfinite(value):
        return "failed", None, "The loss on validation rows is not finite."
    return "complete", value, ""


def _say(ended: Finished, search: Search, limits: Limits) -> None:
    """One line on the trial, the best one so far and the time left."""
    finished, best = search.finished(), search.best()
    of_all = f" of {limits.trials}" if limits.trials is not None else ""
    value = (
        f"value {figure(ended.value, 5)}" if ended.value is not None else f"{ended.state} after epoch {ended.epochs}"
    )
    named = "none yet" if best is None or best.value is None else f"{figure(best.value, 5)} (trial {best.number})"
    left = limits.seconds_left(finished)
    rest = "" if left is None else f", about {in_words(left)} left"
    log.info("trial %d, %d%s finished: %s; best %s%s", ended.number, len(finished), of_all, value, named, rest)
