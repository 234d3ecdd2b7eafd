"""The design of the study of sizes: which encoders are trained, and what their settings are.

A full grid would take days. The design is a cross and some corners of layers and width; masks, passes and rate at two
sizes; further seeds of the contenders.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.size_trials import FACTORS, KL_WEIGHTS, SETTINGS, SWEPT, TRIALS
from varjepa.config import ModelSection, RetrainConfig, parse_config

SCHEDULES = ("kl_sx_anneal_epochs", "kl_z_anneal_epochs", "kl_sy_anneal_epochs")


class Point(NamedTuple):
    """One run.

    Attributes:
        layers: of both encoders.
        width: of tokens and latents.
        masks: target masks K of a row.
        passes: over the training rows, as a share of those of the configuration; warm-up and schedules scale with them.
        rate: learning rate as a share of that of the configuration.
        seed: of weights, batches and masks.
        trial: a name in `TRIALS`; empty for none.
        bins: of numbers with spikes; 0: none, as published.
    """

    layers: int
    width: int
    masks: int = 4
    passes: float = 1.0
    rate: float = 1.0
    seed: int = 0
    trial: str = ""
    bins: int = 16

    @property
    def words(self) -> str:
        """For people.

        Examples:
            >>> Point(2, 32).words
            '2 x 32, K 4, passes 1, rate 1, seed 0'
        """
        words = [f"{self.layers} x {self.width}", f"K {self.masks}", f"passes {self.passes:g}", f"rate {self.rate:g}"]
        return ", ".join([*words, f"seed {self.seed}", *self.special])

    @property
    def special(self) -> list[str]:
        """What is unusual about it besides sizes, masks, passes and rate, in words."""
        return [*([self.trial] if self.trial else []), *([] if self.bins else ["no bins"])]


PUBLISHED = {"sim": Point(16, 64), "covertype": Point(8, 64), "adult": Point(8, 64)}

SMALL, MEDIUM = Point(1, 64), Point(2, 64)
NARROW = (Point(2, 32), Point(4, 32), Point(1, 32), Point(2, 16), Point(8, 32), Point(4, 16), Point(1, 16))


VARIED: tuple[dict[str, Any], ...] = ({"masks": 1}, {"rate": 2.0}, {"passes": 2.0, "masks": 1}, {"rate": 4.0})


KEPT_TRIALS = ("", "all kl 0.01", "all kl 0.1")
"""What is tried with further seeds."""


def points_of(name: str, seeds: int, stages: Sequence[str] | None = None) -> list[Point]:
    """The runs of a data set, in the order in which they are made.

    Args:
        name: of the data set.
        seeds: of the contenders.
        stages: ends, depth, untrained, no bins, seeds, passes, varied, trials, kl seeds, narrow; None means all.
    """
    ends = (MEDIUM, PUBLISHED[name])
    designed = {
        "ends": ends,
        "depth": (SMALL, Point(4, 64)),
        "untrained": tuple(size._replace(passes=0.0) for size in ends),
        "no bins": tuple(MEDIUM._replace(bins=0, passes=passes, seed=seed) for passes in (0.0, 1.0) for seed in (0, 1)),
        "seeds": tuple(point._replace(seed=seed) for seed in range(1, seeds) for point in (*ends, SMALL)),
        "passes": tuple(MEDIUM._replace(passes=share, seed=seed) for share in (0.25, 0.5, 2.0) for seed in (0, 1)),
        "varied": tuple(MEDIUM._replace(**change) for change in VARIED),
        "trials": tuple(MEDIUM._replace(trial=trial) for trial in TRIALS),
        "kl seeds": tuple(MEDIUM._replace(trial=trial, seed=seed) for trial in KEPT_TRIALS for seed in (1, 2)),
        "narrow": NARROW,
    }
    return [point for stage, points in designed.items() if stages is None or stage in stages for point in points]


def sizes_of(point: Point, published: ModelSection) -> dict[str, int]:
    """The sizes of a model, all in proportion to the published ones of the data set.

    Heads keep their width, the feed-forward part its ratio. The predictor keeps its width; it has no more layers than
    the encoders, and a feed-forward part of at most four times their width.
    """
    d_head = published.d_hidden // published.n_heads
    return {
        "d_hidden": point.width,
        "n_layers": point.layers,
        "n_heads": max(1, point.width // d_head),
        "d_feedforward": point.width * published.d_feedforward // published.d_hidden,
        "pred_n_layers": min(published.pred_n_layers, point.layers),
        "pred_d_feedforward": min(published.pred_d_feedforward, 4 * point.width),
    }


def settings_of(point: Point, config: RetrainConfig) -> RetrainConfig:
    """The configuration of a run: trained to the end, selected by nothing."""
    plain = config.model_dump(mode="json")
    training, epochs = plain["training"], max(1, round(point.passes * config.training.max_epochs))
    training |= {
        "lr": point.rate * config.training.lr, "seed": point.seed, "selection": "elbo", "max_epochs": epochs,
        "eval_every": epochs, "warmup_epochs": point.passes * config.training.warmup_epochs,
    }  # fmt: skip
    plain["model"] |= sizes_of(point, config.model)
    plain["masking"] |= {"num_targets": point.masks}
    plain["preprocess"] |= {"n_bins": point.bins}
    plain["objective"] |= {key: point.passes * plain["objective"][key] for key in SCHEDULES}
    if point.trial in SWEPT:
        plain["objective"] |= dict.fromkeys(KL_WEIGHTS, SWEPT[point.trial])
    for section, changes in SETTINGS.get(point.trial, {}).items():
        own = plain[section]
        own |= {key: value * own[key] if key in FACTORS else value for key, value in changes.items()}
    return parse_config(plain)
