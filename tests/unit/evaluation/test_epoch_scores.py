"""Scores of an epoch: probes and ranks."""

import pytest
import torch

from tests.small_networks import random_table, small_network
from tests.unit.models.test_t_jepa import small_t_jepa
from varjepa.evaluation import epoch_scores
from varjepa.evaluation.epoch_scores import ProbeEvaluator


@pytest.mark.parametrize("selective", [False, True])
def test_the_evaluator_prefers_embeddings_that_know_the_label(selective: bool) -> None:
    network, table = small_network(), random_table(400, missing=0.0)
    known = (table.numeric[:, 0] > 0).long()
    shuffled = known[torch.randperm(400, generator=torch.Generator().manual_seed(0))]
    scores = []
    for labels in (known, shuffled):
        train, validation = table.rows(slice(0, 300)), table.rows(slice(300, 400))
        evaluator = ProbeEvaluator(train, labels[:300], validation, labels[300:], 2, selective, "mean")
        scores.append(evaluator(network)[0])
    assert scores[0] > scores[1] + 0.2


def test_the_probe_measures_rank_where_it_breaks_ties() -> None:
    network, table = small_t_jepa(), random_table(100)
    labels = (table.numeric[:, 0] > 0).float()
    _, metrics = ProbeEvaluator(table, labels, table, labels, 2, selective=False, aggregate="mean", rank=True)(network)
    assert set(metrics) == {"validation/rankme", "validation/probe_loss", "validation/probe_accuracy"}


def test_few_rows_of_many_inputs_have_a_penalty_that_suits_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the usual one, an epoch of 1,500 columns was judged by a probe that is worse than guessing."""
    network, table = small_network(), random_table(460, missing=0.0)
    drawn = torch.rand(460, generator=torch.Generator().manual_seed(0))
    labels = (table.numeric[:, 0] + 2 * (drawn - 0.5) > 0).long()
    train, validation = table.rows(slice(0, 60)), table.rows(slice(60, 460))  # 96 inputs
    evaluator = ProbeEvaluator(train, labels[:60], validation, labels[60:], 2, selective=False, aggregate="mean")
    suited = -evaluator(network)[0]
    monkeypatch.setattr(epoch_scores, "L2_OF_WIDE", (epoch_scores.L2,))  # a single one stands
    usual = -evaluator(network)[0]
    assert suited < min(0.69, usual - 0.1), (suited, usual)
