"""What the network may and may not see."""

import pytest
import torch

from tests.small_networks import SIZES, SMALL, random_table, small_network
from tests.unit.models.test_masks import every_position
from varjepa.config import MaskingSection
from varjepa.config.learning import VARIATIONAL
from varjepa.data.tensors.table import TableSizes, TableTensors
from varjepa.models.embedding import embed
from varjepa.models.masks import draw_masks
from varjepa.models.new_network import KINDS, build_network
from varjepa.nn.random import Randomness
from varjepa.objective.elbo import Weights, loss_terms

MASKING = MaskingSection(num_targets=3)


def vandalised(table: TableTensors) -> TableTensors:
    """The same table with rubbish stored in its missing cells."""
    split = table.numeric.shape[1]
    rubbish = torch.where(torch.rand(table.numeric.shape) < 0.5, torch.nan, 1e9)
    codes = torch.stack([torch.randint(0, c, (table.n_rows,)) for c in SIZES.cardinalities], dim=1)
    return TableTensors(
        torch.where(table.observed[:, :split], table.numeric, rubbish),
        torch.where(table.observed[:, split:], table.codes, codes),
        table.observed,
    )


def outputs(network, table: TableTensors):
    random = Randomness.seeded(5)
    masks = draw_masks(table.observed, (2, 3), 3, random)
    posterior, generated = network(table, masks, random)
    return masks, posterior, generated, loss_terms(table, masks, posterior, generated)


@pytest.mark.parametrize("n_points", [0, 3])
def test_a_missing_cell_has_no_influence_on_losses_gradients_or_embeddings(n_points: int) -> None:
    model = SMALL.model_copy(update={"n_points": n_points})
    network, table = small_network(model=model), random_table(64, missing=0.4)
    table.observed[0] = False  # a row with nothing in it
    results = []
    for version in (table, vandalised(table)):
        network.zero_grad()
        *_, terms = outputs(network, version)
        terms.mean().loss(Weights()).backward()
        gradients = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
        results.append((torch.stack(terms), gradients, embed(network, version)))
    (terms, gradients, embedding), (other_terms, other_gradients, other_embedding) = results
    assert torch.isfinite(terms).all()
    assert torch.equal(terms, other_terms)
    assert all(torch.equal(a, b) and torch.isfinite(a).all() for a, b in zip(gradients, other_gradients, strict=True))
    assert torch.equal(embedding.mean, other_embedding.mean)
    assert torch.isfinite(embedding.mean).all()


def test_embeddings_of_missing_cells_ignore_the_table_of_categories() -> None:
    network, table = small_network(), random_table(8, missing=0.0)
    table.observed[:, 4] = False
    before = embed(network, table).mean
    with torch.no_grad():
        start = int(network.tokenizer.offsets[1])
        network.tokenizer.table[start : start + SIZES.cardinalities[1]] += 10.0
    torch.testing.assert_close(embed(network, table).mean, before)


@pytest.mark.parametrize("n_points", [0, 3])
def test_missing_cells_are_embedded_as_predicted(n_points: int) -> None:
    network, table = small_network(model=SMALL.model_copy(update={"n_points": n_points})), random_table(32, missing=0.3)
    embedding, masks = embed(network, table, batch_size=7), every_position(table.observed)
    posterior = network.infer(table, masks)
    prior = network.predict(posterior, masks)
    for found, expected, observed in zip(
        embedding, (prior.mean[:, 0], prior.scale[:, 0]), (posterior.s_w.mean, posterior.s_w.scale), strict=True
    ):
        torch.testing.assert_close(found[~table.observed], expected[~table.observed], atol=1e-5, rtol=0)
        torch.testing.assert_close(found[table.observed], observed[table.observed], atol=1e-5, rtol=0)


def test_the_predictor_cannot_see_target_values() -> None:
    network, table = small_network(), random_table(32, missing=0.0)
    numeric = table.numeric.clone().requires_grad_()
    masks, _, generated, _ = outputs(network, table._replace(numeric=numeric))
    (generated.s_y.mean.sum() + generated.s_y.logvar.sum()).backward()
    in_context = torch.zeros_like(table.observed).scatter_(1, masks.context, True)[:, : SIZES.n_numeric]
    assert (numeric.grad[~in_context] == 0).all()
    assert (numeric.grad[in_context] != 0).any()


def test_the_context_does_not_leak_into_s_x_from_outside() -> None:
    network, table = small_network(), random_table(32, missing=0.0)
    numeric = table.numeric.clone().requires_grad_()
    masks, posterior, *_ = outputs(network, table._replace(numeric=numeric))
    (posterior.s_x.mean.sum() + posterior.z.mean.sum()).backward()
    in_context = torch.zeros_like(table.observed).scatter_(1, masks.context, True)[:, : SIZES.n_numeric]
    assert (numeric.grad[~in_context] == 0).all()


def test_the_target_posterior_does_not_depend_on_target_masks() -> None:
    network, table = small_network(), random_table(16)
    masks = draw_masks(table.observed, (2, 3), 3, Randomness.seeded(1))
    other = masks._replace(targets=masks.targets.flip(1), targets_valid=masks.targets_valid.flip(1))
    posteriors = [network.infer(table, m) for m in (masks, other)]
    assert torch.equal(posteriors[0].s_w.mean, posteriors[1].s_w.mean)
    priors = [
        network.generate(p, m, table.observed.shape).s_y.mean for p, m in zip(posteriors, (masks, other), strict=True)
    ]
    torch.testing.assert_close(priors[0], priors[1].flip(1))


@pytest.mark.parametrize("sizes", [TableSizes(1, []), TableSizes(0, [4]), TableSizes(3, []), TableSizes(0, [3, 50])])
def test_tables_of_one_kind_or_one_feature(sizes: TableSizes) -> None:
    network = small_network(sizes=sizes)
    rows = 8
    codes = torch.ones(rows, len(sizes.cardinalities), dtype=torch.long)
    table = TableTensors(
        torch.randn(rows, sizes.n_numeric), codes, torch.ones(rows, sizes.n_features, dtype=torch.bool)
    )
    masks = draw_masks(table.observed, (1, min(1, sizes.n_features - 1)), 2, Randomness.seeded(0))
    posterior, generated = network(table, masks, Randomness.seeded(0))
    assert torch.isfinite(torch.stack(loss_terms(table, masks, posterior, generated))).all()
    assert embed(network, table).mean.shape == (rows, sizes.n_features, 16)


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_knows_which_kinds_are_variational(kind: str) -> None:
    network = build_network(sizes=SIZES, model=SMALL.model_copy(update={"kind": kind}))
    assert (network.variational() is not None) == network.has_scale == (kind in VARIATIONAL)
