"""TabM: many networks in one, which share most weights (the extra `field`)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from tabm import TabM
from torch import Tensor, nn

from varjepa.config.predictors import PredictorSettings
from varjepa.evaluation.benchmark.predictors.problem import Fitted, Labels, Problem, Score, joined
from varjepa.nn.optimizers import AdamW
from varjepa.nn.random import initial_weights

CHUNK = 512
"""Rows evaluated at a time."""


def fit_tabm(problem: Problem, settings: PredictorSettings, seeds: Sequence[int]) -> Fitted:
    """Fits TabM once per seed: AdamW with the settings of all networks, stopped by the same rule.

    Every member learns by its own loss, and their probabilities are averaged.

    References:
        Gorishniy et al. 2025, "TabM: advancing tabular deep learning with parameter-efficient ensembling".
    """
    return joined([_fit(problem, settings, seed) for seed in seeds])


def _fit(problem: Problem, settings: PredictorSettings, seed: int) -> Fitted:
    train, validation, test = (part.flat() for part in (problem.train, problem.validation, problem.test))
    labels, sizes = problem.labels, settings.tabm
    # Orders of rows and dropout, too, are drawn from torch's own generator: two threads never train TabM at once.
    with initial_weights(seed):
        network = TabM.make(
            n_num_features=train.shape[1], d_out=labels.n_classes or 1, k=sizes.k, n_blocks=sizes.n_blocks,
            d_block=sizes.d_block, dropout=settings.dropout,
        )  # fmt: skip
        best = _trained(network, (train, problem.y), (validation, problem.y_validation), labels, settings)
    outputs = [labels.in_units(_predict(network, x, labels))[None] for x in (test, validation)]
    return Fitted(outputs[0], outputs[1], [best], [])


def _trained(
    network: nn.Module, train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], labels: Labels,
    settings: PredictorSettings,
) -> int:  # fmt: skip
    """Trains the network, leaves its best weights in it, and returns their epoch, from 0."""
    optimizer = AdamW(network.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = -(-len(train[1]) // settings.batch_size)
    patience = min(settings.patience, -(-settings.patience_steps // steps))
    best: tuple[Score, int, dict[str, Tensor]] | None = None
    for epoch in range(settings.epochs):
        network.train()
        for rows in torch.randperm(len(train[1])).split(settings.batch_size):
            optimizer.zero_grad(set_to_none=True)
            _loss(network(train[0][rows]), train[1][rows], labels).backward()
            optimizer.step()
        score = _score(_predict(network, validation[0], labels), validation[1], labels)
        if best is None or score < best[0]:
            best = score, epoch, {name: value.clone() for name, value in network.state_dict().items()}
        if epoch - best[1] >= patience:
            break
    assert best is not None  # noqa: S101 (there is at least one epoch)
    network.load_state_dict(best[2])
    return best[1]


def _loss(outputs: Tensor, y: Tensor, labels: Labels) -> Tensor:
    """Mean over rows and members, from outputs [B, k, C]."""
    if labels.n_classes:
        return F.cross_entropy(outputs.flatten(0, 1), y.repeat_interleave(outputs.shape[1]))
    return (outputs[..., 0] - y[:, None]).square().mean()


@torch.no_grad()
def _predict(network: nn.Module, x: Tensor, labels: Labels) -> Tensor:
    """Means over members: probabilities [N, C], or standardised values [N, 1]."""
    network.eval()
    outputs = torch.cat([network(rows) for rows in x.split(CHUNK)])  # [N, k, C]
    return (outputs.softmax(-1) if labels.n_classes else outputs).mean(1)


def _score(outputs: Tensor, y: Tensor, labels: Labels) -> Score:
    if not labels.n_classes:
        loss = float((outputs[:, 0] - y).square().mean())
        return loss, loss
    return float((outputs.argmax(1) != y).double().mean()), float(F.nll_loss(outputs.clamp(min=1e-7).log(), y))
