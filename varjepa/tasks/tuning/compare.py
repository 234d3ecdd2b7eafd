"""The best job of a search against the job as it was, on test rows: how much the search flattered itself."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from varjepa.amounts import figure
from varjepa.config import RetrainConfig
from varjepa.errors import ConfigError
from varjepa.inference.heads.head import name_of
from varjepa.tasks.retrain.preprocess import Prepared
from varjepa.tasks.retrain.pretrain import Pretrained, trained_network
from varjepa.tasks.steps.log import log
from varjepa.tasks.steps.orchestrated import task
from varjepa.tasks.tracking.runs import CurveLogger
from varjepa.tasks.tuning.measure import Criterion, criterion_of
from varjepa.tasks.tuning.search import Finished, Search
from varjepa.tuning.losses import paired_gain
from varjepa.tuning.space import with_settings

LOOKS = "looks"
"""What a study remembers: comparisons on test rows, by the number of the trial that was best then."""

LOSSES = {"log_loss": "log loss", "squared_error": "squared error", "hidden_cells": "error on hidden cells"}
"""Words for the criteria."""


@dataclass(frozen=True)
class Comparison:
    """Default and best job on the same rows.

    Attributes:
        criterion: name of the loss; lower is better.
        validation: mean loss on validation rows, by `default` and `tuned`.
        test: the same on test rows.
        figures: accuracy or R2 on test rows, by `default` and `tuned`; empty without a label.
        rows: test rows that were compared.
        gain: mean loss of the default minus that of the tuned job on test rows; None where no test row has a label.
        low: lower end of its 95% interval, rows resampled in pairs.
        high: upper end.
        optimism: gain on validation rows minus gain on test rows.
        heads: what ships, by `default` and `tuned`: `names`, `settings` that name the tuned one (nothing where it is
            what the job gives anyway), mean loss on `validation` and `test` rows, and `gain`, `low` and `high` on test
            rows; empty without a label.
        looks: how often searches of this study have looked at the test rows, this one included.
    """

    criterion: str
    validation: dict[str, float]
    test: dict[str, float]
    figures: dict[str, dict[str, float]]
    rows: int
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    optimism: float | None = None
    heads: dict[str, Any] = field(default_factory=dict)
    looks: int = 1

    @property
    def sentence(self) -> str:
        """What the comparison shows."""
        if self.gain is None or self.low is None or self.high is None:
            return "No test row has a label, so the gain is not confirmed."
        loss = LOSSES[self.criterion]
        if self.gain == self.low == self.high == 0:
            return "The job's own settings are the best on validation rows."
        if self.low > 0:
            return (
                f"On test rows the tuned job is better: its {loss} is lower by {_span(self.gain, self.low, self.high)}."
            )
        if self.high < 0:
            span = _span(-self.gain, -self.high, -self.low)
            return f"On test rows the tuned job is WORSE: its {loss} is higher by {span}. Keep the job as it was."
        return f"On test rows no gain in {loss} is shown: {_span(self.gain, self.low, self.high)}."


def _span(value: float, low: float, high: float) -> str:
    return f"{figure(value)} (95% interval {figure(low)} to {figure(high)})"


@task(name="compare", task_run_name="compare on test rows")
def compare_on_test(search: Search, prepared: Prepared, config: RetrainConfig) -> Comparison:
    """Measures the best and the default job of a search on test rows, once per best job.

    Raises:
        ConfigError: the budget ended before the first trial did, or that one failed.
    """
    best, default = search.best(), search.default()
    if failure := search.failure():
        raise ConfigError(
            f"The job's own settings, which all trials are compared with, failed: {failure}",
            fix="Mend the config first, so that `varjepa retrain` can train it.",
        )
    if best is None or default is None:
        raise ConfigError(
            "The budget ended before the job's own settings were tried to the end, so there is nothing to compare.",
            fix="Run the same command again to go on, with a larger --budget.",
        )
    looks: dict[str, Any] = search.remembered(LOOKS) or {}
    # Test rows choose nothing. A search that goes on and finds a better job looks again, and says so.
    if str(best.number) not in looks:
        looks[str(best.number)] = asdict(_compared(best, default, prepared, config)) | {"looks": len(looks) + 1}
        search.remember(LOOKS, looks)
    comparison = Comparison(**looks[str(best.number)])
    log.info("%s", comparison.sentence)
    return comparison


def _compared(best: Finished, default: Finished, prepared: Prepared, config: RetrainConfig) -> Comparison:
    criterion = criterion_of(prepared, config)
    after, before = (_Job.of(trial, prepared, config) for trial in (best, default))
    tuned, own = (criterion.losses(job.pretrained, job.config, "test") for job in (after, before))
    values = {"default": default.value or 0.0, "tuned": best.value or 0.0}
    if not len(own.values):
        return Comparison(own.criterion, values, {}, {}, rows=0)
    heads = _compared_heads(criterion, after, before, config.training.seed)
    gain = paired_gain(tuned, own, seed=config.training.seed)
    return Comparison(
        own.criterion, values, test={"default": own.mean, "tuned": tuned.mean},
        figures={name: {"default": value, "tuned": tuned.figures[name]} for name, value in own.figures.items()},
        rows=len(own.values), **asdict(gain), optimism=values["default"] - values["tuned"] - gain.gain,
        heads=heads,
    )  # fmt: skip


@dataclass(frozen=True)
class _Job:
    """A trial's job and its trained network."""

    config: RetrainConfig
    pretrained: Pretrained

    @classmethod
    def of(cls, trial: Finished, prepared: Prepared, config: RetrainConfig) -> Self:
        changed = with_settings(config, trial.settings)
        # The trial's training is stored: nothing is trained again.
        return cls(changed, trained_network(prepared, changed, CurveLogger(trial.run_id, config.tracking)))


def _compared_heads(criterion: Criterion, after: _Job, before: _Job, seed: int) -> dict[str, Any]:
    """What ships with the tuned and with the default encoder; validation rows choose, test rows compare."""
    own = criterion.heads(before.pretrained, before.config)
    # Where the default is the best, its heads are fitted once.
    tuned = own if after == before else criterion.heads(after.pretrained, after.config)
    if own is None or tuned is None:
        return {}
    validation, test = criterion.part("validation"), criterion.part("test")
    best, settings = tuned.chosen(validation)
    head = own.own()
    log.info("what ships: %s, before %s", name_of(best), name_of(head))
    losses = {
        part: {"tuned": tuned.losses(best, rows), "default": own.losses(head, rows)}
        for part, rows in (("validation", validation), ("test", test))
    }
    gain = paired_gain(losses["test"]["tuned"], losses["test"]["default"], seed=seed)
    means = {part: {name: each.mean for name, each in by_job.items()} for part, by_job in losses.items()}
    return {"names": {"tuned": name_of(best), "default": name_of(head)}, "settings": settings, **means, **asdict(gain)}
