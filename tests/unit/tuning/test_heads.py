"""Heads on one encoder: another than the job's own is named only if it is better beyond doubt."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.small_networks import random_table, small_network
from varjepa.config import RetrainConfig, parse_config
from varjepa.data.encode.encoded import Part
from varjepa.data.tensors.table import TableTensors
from varjepa.tuning.heads import Heads


def job(**probe: str) -> RetrainConfig:
    return parse_config({"data": {"name": "sim", "label": "label"}, "probe": probe})


class Numbers:
    """What a linear head on raw columns asks of a preprocessor: sizes and numbers that are as they were."""

    numeric: tuple = ()

    def __init__(self, classes: int) -> None:
        from types import SimpleNamespace

        from tests.small_networks import SIZES

        def column() -> Any:
            return SimpleNamespace(mean=0.0, std=1.0, decode=lambda cells: cells)

        self.sizes, self.label = SIZES, SimpleNamespace(classes=("no", "yes")[:classes])
        self.numeric = tuple(column() for _ in range(SIZES.n_numeric))


def part(rows: int, seed: int, classes: int, *, linear: bool) -> Part:
    """The label follows the first number, or a product of signs, which trees see and linear models do not."""
    table: TableTensors = random_table(rows, missing=0.0, seed=seed)
    noise = torch.randn(rows, generator=torch.Generator().manual_seed(seed + 50))
    signs = table.numeric[:, :2].sign().prod(1)
    value = 3 * (table.numeric[:, 0] if linear else signs) + noise
    labels = (value > 0).double() if classes else value.double()
    return Part(table, labels, np.arange(rows))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 0])
@pytest.mark.parametrize("linear", [True, False])
def test_a_head_is_named_only_where_it_is_better(classes: int, linear: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("varjepa.tuning.heads.NAMED", (("linear", "embedding"), ("boosted", "raw")))  # the quick ones
    train, validation, test = (part(250, seed, classes, linear=linear) for seed in range(3))
    preprocessor: Any = Numbers(classes)
    heads = Heads.of(small_network(), preprocessor, job(head="linear", features="raw"), train, validation)
    head, settings = heads.chosen(validation)
    if not linear:
        assert settings == {"probe.head": "boosted", "probe.features": "raw"}
        assert heads.losses(head, test).mean < heads.losses(heads.own(), test).mean
    else:
        assert (head.kind, head.features, settings) == ("linear", "raw", {})
