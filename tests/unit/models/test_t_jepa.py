"""T-JEPA: what it may see, where gradients go, and how its target encoder moves."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from tests.small_networks import SIZES, SMALL, random_table
from tests.unit.models.test_masks import every_position
from tests.unit.models.test_network import vandalised
from tests.unit.training.small_runs import TRAINING, correlated, quiet, weights
from varjepa.config import MaskingSection, ObjectiveSection, parse_config
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.evaluation.epoch_scores import RankMeEvaluator
from varjepa.models.embedding import embed
from varjepa.models.masks import Masks, draw_masks
from varjepa.models.t_jepa import Predicted, TJEPANetwork
from varjepa.nn.random import Randomness
from varjepa.objective.objective import objective_for
from varjepa.objective.prediction import prediction_terms
from varjepa.objective.schedules import ema_at
from varjepa.training.loop import Trainer

MODEL = SMALL.model_copy(update={"kind": "t_jepa", "ema": 0.9, "n_aux": 2, "n_cls": 2})


def small_t_jepa(sizes: TableSizes = SIZES) -> TJEPANetwork:
    torch.manual_seed(0)
    network = TJEPANetwork(sizes=sizes, model=MODEL).eval()
    with torch.no_grad():
        for parameter in network.context_encoder.parameters():  # no longer the same as the target encoder
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def trainer(checkpoint: Path | None = None, **changes: object) -> Trainer:
    return Trainer(network=small_t_jepa(), tables=correlated(), objective=ObjectiveSection(),
                   masking=MaskingSection(), training=TRAINING.model_copy(update=changes),
                   evaluate=RankMeEvaluator(correlated()[1]), checkpoint=checkpoint)  # fmt: skip


def test_predictions_ignore_what_target_cells_hold() -> None:
    network, table = small_t_jepa(), random_table(32, missing=0.1)
    masks = draw_masks(table.observed, (2, 3), 3, Randomness.seeded(1))
    context = torch.zeros_like(table.observed).scatter_(1, masks.context, True)
    other = random_table(32, missing=0.1, seed=9)
    split = SIZES.n_numeric
    changed = TableTensors(
        torch.where(context[:, :split], table.numeric, other.numeric),
        torch.where(context[:, split:], table.codes, other.codes),
        table.observed,
    )
    before, after = network(table, masks), network(changed, masks)
    assert torch.equal(before.prediction, after.prediction)
    assert not torch.equal(before.target, after.target)


def test_predictions_of_one_mask_do_not_depend_on_the_others() -> None:
    network, table = small_t_jepa(), random_table(16)
    masks = draw_masks(table.observed, (2, 3), 3, Randomness.seeded(1))
    flipped = masks._replace(targets=masks.targets.flip(1), targets_valid=masks.targets_valid.flip(1))
    for one, other in zip(network(table, masks), network(table, flipped), strict=True):
        torch.testing.assert_close(one, other.flip(1))


def test_no_gradient_reaches_the_target_encoder() -> None:
    network, table = small_t_jepa(), random_table(32)
    masks = draw_masks(table.observed, (2, 3), 3, Randomness.seeded(1))
    prediction_terms(masks, network.train()(table, masks, Randomness.seeded(2))).mean().prediction.backward()
    assert all(parameter.grad is None for parameter in network.target_encoder.parameters())
    learned = [*network.context_encoder.named_parameters(), *network.predictor.named_parameters()]
    assert [name for name, parameter in learned if parameter.grad is None] == []


def test_the_target_encoder_is_a_moving_average() -> None:
    network = small_t_jepa()
    slow, fast = network.target_encoder.registers.clone(), network.context_encoder.registers.clone()
    network.update_target(0.75)
    torch.testing.assert_close(network.target_encoder.registers, 0.75 * slow + 0.25 * fast)
    assert [ema_at(step, 10, 0.9) for step in (0, 5, 10)] == pytest.approx([0.9, 0.95, 1.0])


def test_every_step_of_training_moves_it() -> None:
    """The average of the context encoders after every step, weighted by hand."""
    run = trainer(max_epochs=1, batch_size=64)
    expected = deepcopy(run.network.target_encoder.registers)
    after_step = run.objective.after_step

    def watched(step: int) -> None:
        nonlocal expected
        keep = 0.9 + 0.1 * step / 3  # 192 rows in batches of 64
        expected = keep * expected + (1 - keep) * run.network.context_encoder.registers.detach()
        after_step(step)

    run.objective.after_step = watched
    run.fit(quiet, quiet)
    torch.testing.assert_close(run.network.target_encoder.registers, expected)


@pytest.mark.parametrize("ema", [None, 0.9, 0.996])
def test_the_share_of_initial_weights_is_recorded(ema: float | None) -> None:
    """With a context encoder of zeros, what is left of the target encoder is that share of its initial weights."""
    network = small_t_jepa()
    network.ema = ema
    initial = network.target_encoder.registers.clone()
    for parameter in network.context_encoder.parameters():
        parameter.data.zero_()
    objective = objective_for(network, ObjectiveSection(), steps_per_epoch=30, epochs=2)
    for step in range(60):
        objective.after_step(step)
        left = objective.schedule(step)["training/initial_share"]
        torch.testing.assert_close(network.target_encoder.registers, left * initial, atol=1e-6, rtol=1e-4)
    assert (left < 0.01) == (ema is None)


def test_models_of_before_keep_their_share() -> None:
    """Their stored settings name it; a new training has none and takes one that fits its steps."""
    kept = parse_config({"data": {"name": "sim"}, "model": {"kind": "t_jepa", "ema": 0.996}})
    assert (kept.model.ema, parse_config({"data": {"name": "sim"}}).model.ema) == (0.996, None)
    assert small_t_jepa().ema == MODEL.ema


def test_the_squared_error_averages_over_valid_targets() -> None:
    masks = Masks(torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.bool),
                  torch.ones(2, 1, 2, dtype=torch.long), torch.tensor([[[True, False]], [[True, True]]]))  # fmt: skip
    prediction = torch.tensor([[[[1.0, 3.0], [9.0, 9.0]]], [[[2.0, 0.0], [0.0, 4.0]]]])  # [B, K, M, d]
    terms = prediction_terms(masks, Predicted(prediction, torch.zeros_like(prediction)))
    assert terms.prediction.tolist() == [5.0, 5.0]


def test_missing_cells_have_no_influence() -> None:
    network, table = small_t_jepa(), random_table(64, missing=0.4)
    table.observed[0] = False
    masks = draw_masks(table.observed, (2, 3), 3, Randomness.seeded(1))
    results = []
    for version in (table, vandalised(table)):
        network.zero_grad()
        terms = prediction_terms(masks, network(version, masks))
        terms.mean().prediction.backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append((terms.prediction.detach(), embed(network, version).mean, *gradients))
    assert all(torch.equal(a, b) and torch.isfinite(a).all() for a, b in zip(*results, strict=True))


def test_missing_cells_are_embedded_as_predicted_and_observed_ones_by_the_target_encoder() -> None:
    network, table = small_t_jepa(), random_table(32, missing=0.4)
    embedding = embed(network, table, batch_size=7)
    expected = network(table, every_position(table.observed)).prediction[:, 0]
    torch.testing.assert_close(embedding.mean[~table.observed], expected[~table.observed], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        embedding.mean[table.observed], network.encode_row(table)[table.observed], atol=1e-5, rtol=0
    )
    assert embedding.scale is None
    empty = embed(network, table.rows(slice(0, 0)))
    assert (empty.mean.shape, empty.scale) == ((0, 6, 16), None)


@pytest.mark.parametrize("sizes", [TableSizes(1, []), TableSizes(0, [4]), TableSizes(3, []), TableSizes(0, [3, 50])])
def test_tables_of_one_kind_or_one_feature(sizes: TableSizes) -> None:
    network, rows = small_t_jepa(sizes), 8
    table = TableTensors(
        torch.randn(rows, sizes.n_numeric),
        torch.ones(rows, len(sizes.cardinalities), dtype=torch.long),
        torch.ones(rows, sizes.n_features, dtype=torch.bool),
    )
    masks = draw_masks(table.observed, (1, min(1, sizes.n_features - 1)), 2, Randomness.seeded(0))
    assert torch.isfinite(prediction_terms(masks, network(table, masks)).prediction).all()
    assert embed(network, table).mean.shape == (rows, sizes.n_features, 16)


@pytest.mark.slow
def test_training_lowers_the_error_and_rank_selects() -> None:
    trained = trainer(max_epochs=6).fit(quiet, quiet)
    errors = [metrics["validation/prediction"] for metrics in trained.history]
    assert errors[-1] < 0.9 * errors[0]
    ranks = [metrics["validation/rankme"] for metrics in trained.history]
    assert ranks[trained.best_epoch] == max(ranks)
    assert trained.history[0]["training/ema"] > MODEL.ema
    left = [metrics["training/initial_share"] for metrics in trained.history]
    assert 0 < left[-1] < left[0] < 1
    assert not [name for name in trained.history[0] if "elbo" in name or "kl" in name or name.startswith("weights/")]


@pytest.mark.slow
def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == 1:
            raise KilledError

    whole = trainer()
    whole.fit(quiet, quiet)
    with pytest.raises(KilledError):
        trainer(tmp_path / "c.pt").fit(kill, quiet)
    resumed = trainer(tmp_path / "c.pt")
    resumed.fit(quiet, quiet)
    assert torch.equal(weights(whole), weights(resumed))
