"""The search: an Optuna study in a SQLite file of the working folder, which the next run of the job continues."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from varjepa.config import RetrainConfig
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.reuse import Step, step_lock
from varjepa.tuning.space import Choice, Range, Settings, changed_settings, default_point, neighbour, search_space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

STEP = Step(
    "tune",
    "varjepa.tasks.tuning.trial",
    settings=("model", "masking", "objective", "training", "probe", "uncertainty.aggregate", "data.split.seen"),
)
"""Trials are comparable, and make one study, while rows, these settings and the code stay the same."""

STUDY, FILE = "tune", "study.db"

DEFAULT = "default"
"""Attribute of the trial of the job as it is."""

DRAWN_FIRST = 8
"""Trials near the job's own settings before the sampler learns from them."""

JUDGED_FIRST, WARM_UP = 4, 1
"""Finished trials, and epochs of a trial, before one may be pruned."""

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Finished:
    """A trial that has an end.

    Attributes:
        number: in the study, from 0.
        state: complete; pruned by the median of earlier trials; failed, such as one that diverged.
        value: mean loss on validation rows; None unless complete.
        settings: what it changed in the job; nothing for the default.
        epochs: that it ran.
        seconds: that it took.
        run_id: its tracking run.
        reason: why it failed.
    """

    number: int
    state: State
    value: float | None
    settings: Settings
    epochs: int
    seconds: float
    run_id: str
    reason: str = ""


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: finished trials of the study in all; None: as many as there is time for.
        deadline: moment of the monotonic clock; None: no limit.
    """

    trials: int | None
    deadline: float | None

    @classmethod
    def of(cls, trials: int | None, seconds: float | None) -> "Limits":
        """Limits that start to count now."""
        return cls(trials, None if seconds is None else time.monotonic() + seconds)

    def over(self, finished: int) -> bool:
        """Whether no further trial may start."""
        return self.out_of_time() or (self.trials is not None and finished >= self.trials)

    def out_of_time(self) -> bool:
        """Whether the budget is spent."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def seconds_left(self, finished: list[Finished]) -> float | None:
        """How much longer the search will take, judged by the trials so far; None if nothing says."""
        left = [] if self.deadline is None else [max(0.0, self.deadline - time.monotonic())]
        if self.trials is not None and finished:
            mean = sum(trial.seconds for trial in finished) / len(finished)
            left.append(mean * max(0, self.trials - len(finished)))
        return min(left, default=None)


class Search:
    """A study of one job. Its own process alone works on it, see `opened_search`.

    Args:
        folder: of the study.
        config: the job, without any changes.
    """

    def __init__(self, folder: Path, config: RetrainConfig) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it says at every trial, we say ourselves
        self.folder, self.config, self.space = folder, config, search_space(config)
        self.distributions = {key: _distribution(values) for key, values in self.space.items()}
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / FILE}", study_name=STUDY, direction="minimize", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=JUDGED_FIRST, n_warmup_steps=WARM_UP),
        )  # fmt: skip
        self._take_up()

    def _take_up(self) -> None:
        """Puts trials that were cut short into the queue again, the default first of all."""
        trials = self.study.get_trials(deepcopy=False)
        for trial in trials:
            if trial.state.name == "RUNNING":
                self.give_back(trial)
        trials = self.study.get_trials(deepcopy=False)
        if not any(DEFAULT in trial.user_attrs and trial.state.name in ("COMPLETE", "WAITING") for trial in trials):
            self.study.enqueue_trial(default_point(self.space, self.config), user_attrs={DEFAULT: True})

    def give_back(self, trial: "Trial | FrozenTrial") -> None:
        """Ends a trial that was cut short, without a verdict; its settings are tried again, from its checkpoint on."""
        import optuna

        self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        self.study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)

    def next(self) -> "Trial":
        """Proposes a trial; it depends on the seed of training and on the finished trials alone."""
        import optuna

        # A sampler per trial: a search that was interrupted goes on like one that was not.
        finished = len(self.finished())
        seed = self.config.training.seed + finished
        waiting = any(trial.state.name == "WAITING" for trial in self.study.get_trials(deepcopy=False))
        if finished < DRAWN_FIRST and not waiting:
            self.study.enqueue_trial(neighbour(self.space, default_point(self.space, self.config), seed))
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=DRAWN_FIRST, multivariate=True)
        return self.study.ask(self.distributions)

    def settings(self, trial: "Trial | FrozenTrial") -> Settings:
        """What a trial changes in the job."""
        return changed_settings(trial.params, self.space, self.config)

    def end(self, trial: "Trial", ended: Finished) -> None:
        """Stores the end of a trial, for good."""
        import optuna

        attributes = {"epochs": ended.epochs, "seconds": ended.seconds, "run": ended.run_id, "reason": ended.reason}
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        # To the sampler a failed trial is a pruned one without any score: to be avoided.
        state = optuna.trial.TrialState.COMPLETE if ended.state == "complete" else optuna.trial.TrialState.PRUNED
        self.study.tell(trial, ended.value, state=state)

    def finished(self) -> list[Finished]:
        """All trials that have an end, those of earlier runs included, in their order."""
        return [
            self._finished(trial)
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.name in ("COMPLETE", "PRUNED")
        ]

    def _finished(self, trial: "FrozenTrial") -> Finished:
        kept = trial.user_attrs
        state: State = "complete" if trial.state.name == "COMPLETE" else "failed" if kept["reason"] else "pruned"
        value = trial.value if state == "complete" else None
        return Finished(
            trial.number, state, value, self.settings(trial), kept["epochs"], kept["seconds"], kept["run"],
            kept["reason"],
        )  # fmt: skip

    def best(self) -> Finished | None:
        """The complete trial of the smallest value, the earliest of equal ones."""
        complete = [trial for trial in self.finished() if trial.value is not None]
        return min(complete, key=lambda trial: (trial.value, trial.number), default=None)

    def default(self) -> Finished | None:
        """The complete trial of the job as it is."""
        return next((trial for trial in self.finished() if trial.value is not None and not trial.settings), None)

    def failure(self) -> str:
        """Why the job as it is failed, the last time that it was tried; empty where it did not."""
        tried = [trial for trial in self.finished() if not trial.settings]
        return tried[-1].reason if tried and self.default() is None else ""

    def remember(self, name: str, value: Any) -> None:
        """Keeps a fact about the study, plain data."""
        self.study.set_user_attr(name, value)

    def remembered(self, name: str) -> Any:
        """A fact that was kept, or None."""
        return self.study.user_attrs.get(name)


def _distribution(values: Choice | Range) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values, Choice):
        return CategoricalDistribution(values.options)
    return FloatDistribution(values.low, values.high, log=values.log)


def study_folder(prepared: Prepared, config: RetrainConfig) -> Path:
    """The folder of the study of this job on these rows."""
    return STEP.folder(config, str(prepared.encoded))


@contextmanager
def opened_search(prepared: Prepared, config: RetrainConfig) -> Iterator[Search]:
    """Opens the study of a job, which may have trials of earlier runs; waits while another process works on it."""
    folder = study_folder(prepared, config)
    with step_lock(folder):
        search = Search(folder, config)
        if earlier := len(search.finished()):
            log.info("going on with %s, which has %d finished trials", folder, earlier)
        yield search
