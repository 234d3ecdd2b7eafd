"""What a search may change, and between which bounds: around the job's own settings, which are one of its points.

Nothing that changes the encoded rows, the split or the label is searched, so all trials share one preprocessing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from varjepa.config import RetrainConfig, as_flat

DIGITS = 3
"""Significant digits of a drawn number: more would make a config hard to read, and change nothing."""

MOVED = 0.3
"""Share of the settings that a neighbour of the job changes."""

Settings = dict[str, Any]
"""Dotted key of a config -> value."""


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Attributes:
        options: without repetition, the job's own value among them.
    """

    options: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        """Whether the value is one of the options."""
        return value in self.options


@dataclass(frozen=True)
class Range:
    """A number between two bounds.

    Attributes:
        low: smallest value.
        high: largest value, above `low`.
        log: drawn on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def holds(self, value: Any) -> bool:
        """Whether the value lies between the bounds."""
        return self.low <= value <= self.high


Space = dict[str, Choice | Range]
"""Dotted key of a config -> its possible values."""


def search_space(config: RetrainConfig) -> Space:
    """Sizes, masks, weights and rates around those of a job.

    Sizes are halved and doubled. Weights and rates are searched on logarithmic scales. The overall scale of the loss
    does not matter to AdamW, so the weight of the generative term stays and the others move. Nothing is searched beyond
    what a config may say.

    Args:
        config: of the job, sized (see `RetrainConfig.sized`); each of its values lies in the space.
    """
    groups = (_sizes(config), _masks(config), _weights(config), _rates(config))
    return {key: _at_most(_largest(config, key), values) for group in groups for key, values in group}


def _largest(config: RetrainConfig, key: str) -> float:
    """The largest value that a config may give a key."""
    section, _, name = key.rpartition(".")
    rules = type(getattr(config, section)).model_fields[name].metadata
    return min((rule.le for rule in rules if hasattr(rule, "le")), default=math.inf)


def _at_most(largest: float, values: Choice | Range) -> Choice | Range:
    if isinstance(values, Choice):
        return Choice(tuple(option for option in values.options if option <= largest))
    return replace(values, high=min(values.high, largest))


def _sizes(config: RetrainConfig) -> Iterator[tuple[str, Choice]]:
    model = config.model
    yield "model.d_hidden", _around(model.d_hidden, multiple=model.n_heads)
    yield "model.n_layers", _around(model.n_layers)
    yield "model.d_feedforward", _around(model.d_feedforward)
    yield "model.pred_d", _around(model.pred_d, multiple=model.pred_n_heads)
    yield "model.pred_n_layers", _around(model.pred_n_layers)


def _masks(config: RetrainConfig) -> Iterator[tuple[str, Choice | Range]]:
    masking = config.masking
    for name, middle, most in (("ctx", 0.3, 0.8), ("trg", 0.3, 0.9)):
        smallest, largest = (getattr(masking, f"{name}_share_{end}") for end in ("min", "max"))
        # The two shares meet at one point, so that every pair of draws is in order.
        meeting = min(max(middle, smallest), largest)
        yield from _share(f"masking.{name}_share_min", min(0.05, smallest), meeting)
        yield from _share(f"masking.{name}_share_max", meeting, max(most, largest))
    yield "masking.num_targets", _around(masking.num_targets)


def _share(key: str, low: float, high: float) -> Iterator[tuple[str, Range]]:
    if low < high:
        yield key, Range(low, high)


def _weights(config: RetrainConfig) -> Iterator[tuple[str, Range]]:
    if not config.model.is_variational:  # a single term has no weight
        return
    for name, factor in (("weight_rec", 10), ("kl_sx_final", 30), ("kl_z_final", 30), ("kl_sy_final", 30)):
        # A term that the job has turned off stays off.
        if value := getattr(config.objective, name):
            yield f"objective.{name}", Range(value / factor, value * factor, log=True)


def _rates(config: RetrainConfig) -> Iterator[tuple[str, Range]]:
    training, model = config.training, config.model
    yield "training.lr", Range(training.lr / 5, training.lr * 5, log=True)
    if training.weight_decay:
        yield "training.weight_decay", Range(training.weight_decay / 30, training.weight_decay * 30, log=True)
    yield "model.dropout", Range(0.0, max(0.3, model.dropout))
    yield "model.pred_dropout", Range(0.0, max(0.3, model.pred_dropout))


def _around(value: int, multiple: int = 1) -> Choice:
    """A size, half of it and twice it, as far as they are multiples of the number of heads."""
    half = value // 2
    options = {size for size in (half, value, 2 * value) if size and size % multiple == 0}
    return Choice(tuple(sorted(options)))


def default_point(space: Space, config: RetrainConfig) -> Settings:
    """The job's own values of what is searched."""
    flat = as_flat(config)
    return {key: flat[key] for key in space}


def neighbour(space: Space, point: Settings, seed: int) -> Settings:
    """A point that differs from another one in about `MOVED` of its settings, each drawn anew.

    Where everything is drawn anew, one bad draw of many spoils the point, and few trials teach nothing.
    """
    random = np.random.default_rng(seed)
    moved = random.random(len(space)) < MOVED
    moved[random.integers(len(space))] = True  # at least one
    return {key: _drawn(space[key], random) if moves else point[key] for key, moves in zip(space, moved, strict=True)}


def _drawn(values: Choice | Range, random: np.random.Generator) -> Any:
    if isinstance(values, Choice):
        return values.options[random.integers(len(values.options))]
    if values.log:
        return float(np.exp(random.uniform(np.log(values.low), np.log(values.high))).clip(values.low, values.high))
    return float(random.uniform(values.low, values.high))


def changed_settings(point: Mapping[str, Any], space: Space, config: RetrainConfig) -> Settings:
    """What a point of the space changes in a job, drawn numbers rounded to `DIGITS` significant digits.

    A point that is the job's own changes nothing, to the last digit.

    Examples:
        >>> from varjepa.config import parse_config
        >>> job = parse_config({"data": {"name": "sim"}, "model": {"size": "published"}})
        >>> changed_settings({"training.lr": 0.00123456, "model.n_layers": 8}, search_space(job), job)
        {'training.lr': 0.00123}
    """
    flat = as_flat(config)
    # A value that is the job's own is not rounded: it would be another one.
    values = {key: value if value == flat[key] else _rounded(value, space[key]) for key, value in point.items()}
    return {key: value for key, value in values.items() if value != flat[key]}


def _rounded(value: Any, values: Choice | Range) -> Any:
    if isinstance(values, Choice) or not value:
        return value
    short = round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))
    return min(max(short, values.low), values.high)  # rounding must not leave the bounds


def with_settings(config: RetrainConfig, settings: Mapping[str, Any]) -> RetrainConfig:
    """The job with other values of some dotted keys, checked anew."""
    content = config.model_dump(mode="json")
    for key, value in settings.items():
        section, _, name = key.rpartition(".")
        target = content
        for part in section.split("."):
            target = target[part]
        target[name] = value
    return RetrainConfig.model_validate(content)
