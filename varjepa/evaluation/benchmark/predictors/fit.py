"""Fits one of the predictors of the benchmark, once per seed, with the best of its trials."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from varjepa.config import ON_FRAMES, PredictorName, PredictorSettings
from varjepa.evaluation.benchmark.predictors.boosting import Boosted, boost
from varjepa.evaluation.benchmark.predictors.inputs import Inputs, standardised
from varjepa.evaluation.benchmark.predictors.linear import linear_model, outputs_of
from varjepa.evaluation.benchmark.predictors.networks import FLAT, NeuralName, new_stack
from varjepa.evaluation.benchmark.predictors.problem import Drawn, Fitted, Labels, Problem, joined, repeated
from varjepa.evaluation.benchmark.predictors.search import WHOLE, trials, validation_score
from varjepa.evaluation.benchmark.predictors.stacking import Streams
from varjepa.evaluation.benchmark.predictors.training import Rows, StackTrainer
from varjepa.nn.random import StackedRandomness

Fit = Callable[[Problem, PredictorSettings, Sequence[int], Drawn], Fitted]
"""Fits one trial: problem, settings, one seed per run, drawn settings."""


def fit_predictors(
    name: PredictorName, train: tuple[Any, Tensor], validation: tuple[Any, Tensor], test: Any, *,
    n_classes: int, seeds: Sequence[int], settings: PredictorSettings,
) -> Fitted:  # fmt: skip
    """Fits one predictor for every seed, all seeds of a published network together.

    Of `settings.trials` trials the best on the validation rows is kept: each is fitted with the first seed, the best
    one with all seeds. Equal seeds give equal numbers on the same machine. What a seed gives depends on the seeds
    beside it by rounding only: weights, row orders and dropout come from its own streams. Where nothing is random
    (linear models, trees with the first trial's settings), all runs are equal.

    Args:
        name: one of `varjepa.config.PREDICTORS`.
        train: `Inputs` (those of `ON_FRAMES`: a pandas frame) and labels; class numbers [N] of any type, or values [N].
        validation: the same of other rows, for early stopping and the choice of a trial.
        test: inputs of the rows to predict.
        n_classes: C, or 0 for regression.
        seeds: one per run.
        settings: trials, sizes, optimiser, stopping.

    Raises:
        ValueError: if there are no training or validation rows, or no seeds.
    """
    if not (len(train[1]) and len(validation[1]) and len(seeds)):
        raise ValueError(
            f"a predictor needs rows and seeds; found {len(train[1])} training rows, {len(validation[1])} validation "
            f"rows and {len(seeds)} seeds"
        )
    parts = (train[0], validation[0], test)
    labels = Labels.of(train[1], n_classes)
    encoded = labels.encode(train[1]), labels.encode(validation[1])
    train_rows, validation_rows, test_rows = parts if name in ON_FRAMES else standardised(*parts)
    problem = Problem(train_rows, validation_rows, test_rows, *encoded, labels)
    drawn = trials(name, settings.trials, seeds[0])
    if len(drawn) == 1:
        return _fit(name, problem, settings, seeds, drawn[0])
    tried = [_fit(name, problem, settings, seeds[:1], trial) for trial in drawn]
    scores = [validation_score(fitted, validation[1], n_classes) for fitted in tried]
    best = scores.index(min(scores))
    chosen = tried[best] if len(seeds) == 1 else _fit(name, problem, settings, seeds, drawn[best])
    return replace(chosen, drawn=drawn[best])


def _fit(
    name: PredictorName, problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn
) -> Fitted:
    whole: Drawn = {key: int(value) if key in WHOLE[name] else value for key, value in drawn.items()}
    return FITS[name](problem, settings, seeds, whole)


def _fit_networks(
    problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn, *, name: NeuralName
) -> Fitted:
    settings, streams = settings.model_copy(update=drawn), Streams(StackedRandomness.seeded(seeds))
    parts: tuple[Inputs, ...] = (problem.train, problem.validation, problem.test)
    train, validation, test = (part.flat() if name in FLAT else part.values for part in parts)  # [N, F] or [N, D, W]
    labels = problem.labels
    # Values need one output. All runs draw from one object whose streams the trainer renews every epoch.
    network = new_stack(name, parts[0].widths, labels.n_classes or 1, settings, seeds=seeds, streams=streams)
    trainer = StackTrainer(
        network=network.to(train.device), streams=streams, seeds=seeds, settings=settings, n_classes=labels.n_classes
    )
    history = trainer.fit(Rows(train, problem.y), Rows(validation, problem.y_validation))
    at_test, at_validation = (labels.decode(output) for output in trainer.predict_best(test, validation))
    return Fitted(at_test, at_validation, trainer.best.epochs, history)


def _fit_xgboost(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:
    return _fit_trees(boost, problem, settings, seeds, drawn)


def _fit_lightgbm(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:
    from varjepa.evaluation.benchmark.predictors.light import grow

    return _fit_trees(grow, problem, settings, seeds, drawn)


def _fit_trees(
    grow: Callable[..., Boosted], problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn
) -> Fitted:
    train, validation, test = (part.flat() for part in (problem.train, problem.validation, problem.test))
    labels = problem.labels
    # With all rows and columns nothing is random.
    fits = []
    for seed in seeds if drawn else seeds[:1]:
        boosted = grow(
            (train, problem.y), (validation, problem.y_validation), test, n_classes=labels.n_classes,
            settings=settings.xgboost, drawn=drawn, seed=seed,
        )  # fmt: skip
        at_validation, at_test = (labels.in_units(output) for output in boosted.outputs)
        runs = 1 if drawn else len(seeds)
        fits.append(repeated(at_validation, at_test, runs, len(boosted.history) - 1, boosted.history))
    return fits[0] if len(fits) == 1 else joined(fits)


def _fit_linear(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:  # noqa: ARG001 (one signature for all)
    train, validation, test = (part.flat().numpy() for part in (problem.train, problem.validation, problem.test))
    labels, model = problem.labels, linear_model(problem.labels.n_classes, drawn.get("strength", 1.0))
    model.fit(train, problem.y.numpy())
    at_validation, at_test = (labels.in_units(outputs_of(model, part, labels.n_classes)) for part in (validation, test))
    return repeated(at_validation, at_test, len(seeds), 0, [])


def _fit_tabm(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:
    from varjepa.evaluation.benchmark.predictors.multiple import fit_tabm

    return fit_tabm(problem, settings.model_copy(update=drawn), seeds)


def _fit_realmlp(problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn) -> Fitted:
    from varjepa.evaluation.benchmark.predictors.realmlp import fit_realmlp

    return fit_realmlp(problem, settings, seeds, drawn)


def _fit_skrub(
    problem: Problem, settings: PredictorSettings, seeds: Sequence[int], drawn: Drawn, *, kind: Any  # noqa: ARG001 (one signature for all)
) -> Fitted:  # fmt: skip
    from varjepa.evaluation.benchmark.predictors.vectorised import fit_vectorised

    return fit_vectorised(problem, kind, drawn, runs=len(seeds), seed=seeds[0])


NETWORKS: tuple[NeuralName, ...] = ("mlp", "dcnv2", "resnet", "autoint", "ft_transformer")

FITS: dict[str, Fit] = {
    **{name: partial(_fit_networks, name=name) for name in NETWORKS},
    "linear": _fit_linear,
    "xgboost": _fit_xgboost,
    "lightgbm": _fit_lightgbm,
    "tabm": _fit_tabm,
    "realmlp": _fit_realmlp,
    "skrub_linear": partial(_fit_skrub, kind="linear"),
    "skrub_trees": partial(_fit_skrub, kind="trees"),
}
"""Predictor -> what fits a trial of it."""
