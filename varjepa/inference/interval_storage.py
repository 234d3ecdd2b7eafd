"""Intervals and prediction sets as files: arrays and trees in safetensors, the rest as JSON. Nothing pickled."""

import json
from pathlib import Path

import torch

from varjepa.evaluation.uncertainty.prediction_sets import SetRule
from varjepa.inference.intervals import FittedIntervals
from varjepa.models.weights import read_file, write_tensors

INTERVALS, SETS = "intervals.safetensors", "sets.json"

FACTS = "intervals"
"""Key of the facts among the metadata of the file."""


def save_intervals(folder: Path, fitted: FittedIntervals) -> None:
    """Writes the intervals of a regressor."""
    write_tensors(folder / INTERVALS, fitted.tensors(), {FACTS: json.dumps(fitted.facts())})


def load_intervals(path: Path, device: torch.device) -> FittedIntervals:
    """Reads what `save_intervals` wrote.

    Raises:
        ValueError, KeyError: the file holds no intervals.
    """
    tensors, plain = read_file(path, device)
    return FittedIntervals.of(tensors, json.loads(plain[FACTS]))


def save_sets(folder: Path, rule: SetRule) -> None:
    """Writes the rule of prediction sets."""
    (folder / SETS).write_text(rule.model_dump_json(indent=1), encoding="utf-8")


def load_sets(path: Path) -> SetRule:
    """Reads what `save_sets` wrote.

    Raises:
        ValueError: the file holds no rule.
    """
    return SetRule.model_validate_json(path.read_bytes())
