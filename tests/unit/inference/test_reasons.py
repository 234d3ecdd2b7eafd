"""Reasons: they add up, belong to a row alone, and agree with TreeSHAP where trees answer."""

from collections.abc import Callable, Collection

import numpy as np
import polars as pl
import pytest
import torch
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tests.small_networks import random_table
from tests.unit.inference.heads.test_heads import fitting_of
from tests.unit.models.test_t_jepa import small_t_jepa
from varjepa.data.tensors.table import TableTensors
from varjepa.inference.columns import as_json_text
from varjepa.inference.heads.choice import choose_head
from varjepa.inference.heads.inputs import HeadRows, tree_inputs, tree_types
from varjepa.inference.hidden_cells import expected, without
from varjepa.inference.reasons import STEPS, Outcome, column_groups, evaluations, explained, joined, orders

WEIGHTS = torch.tensor([3.0, -1.0, 0.5, 2.0, 0.0, 1.0])
GROUPS = {"a": [0], "b": [1, 3], "c": [2], "d": [4], "e": [5]}


def one_by_one(outcome: Callable) -> Callable:
    """Outcomes of every choice of hidden features, each computed when it is needed."""
    return lambda table, hidden: (outcome(table, each) for each in hidden)


def additive(table: TableTensors, hidden: Collection[int]) -> Outcome:
    """Every cell that is there adds its weight: a column's contribution is known."""
    value = (without(table, *hidden).observed * WEIGHTS).sum(1, keepdim=True).double()
    return Outcome(value, value[:, 0] ** 2)


def test_contributions_of_a_sum_are_its_parts() -> None:
    table = random_table(40)
    reasons = explained(one_by_one(additive), table, GROUPS)
    parts = [WEIGHTS[features] * table.observed[:, features] for features in GROUPS.values()]
    np.testing.assert_allclose(reasons.prediction.parts, np.stack([part.sum(1) for part in parts], 1), atol=1e-9)
    assert (reasons.prediction.base == 0).all()


def test_errors_of_rounding_are_no_reasons() -> None:
    """A picture of a model that answers one number showed bars of 1e-17 as what matters."""
    table = random_table(40)

    def constant(rows: TableTensors, hidden: Collection[int]) -> Outcome:
        noise = 1e-16 * additive(rows, hidden).answers
        return Outcome(0.4 + noise, 0.6 - noise[:, 0])

    reasons = explained(one_by_one(constant), table, GROUPS)
    assert (reasons.prediction.parts == 0).all()
    assert (reasons.uncertainty.parts == 0).all()


@pytest.mark.slow
@given(rows=st.integers(1, 20), seed=st.integers(0, 99), columns=st.integers(1, 6))
@settings(max_examples=20)
def test_they_add_up_and_do_not_depend_on_the_rows_beside(rows: int, seed: int, columns: int) -> None:
    table = random_table(rows, seed=seed)
    groups = {str(group): [int(f) for f in part] for group, part in enumerate(np.array_split(np.arange(6), columns))}
    reasons = explained(one_by_one(additive), table, groups)
    for part in (reasons.prediction, reasons.uncertainty):
        np.testing.assert_allclose(part.parts.sum(1), part.value - part.base, atol=1e-9)
    alone = joined([explained(one_by_one(additive), table.rows(slice(n, n + 1)), groups) for n in range(rows)])
    np.testing.assert_allclose(alone.uncertainty.parts, reasons.uncertainty.parts, atol=1e-9)
    empty = [~table.observed[:, features].any(1) for features in groups.values()]
    assert (reasons.prediction.parts[torch.stack(empty, 1).numpy()] == 0).all()


@pytest.mark.parametrize("columns", [1, 2, 24, 25, 300])
def test_orders_show_every_column_once_in_few_steps(columns: int) -> None:
    for order in orders(columns, 0):
        assert sorted(np.concatenate(order)) == list(range(columns))
        assert len(order) <= STEPS
    looks = 0

    def counted(table: TableTensors, hidden: Collection[int]) -> Outcome:
        nonlocal looks
        looks += 1
        return Outcome(without(table, *hidden).observed.double().sum(1, keepdim=True), None)

    table = TableTensors(torch.zeros(2, columns), torch.zeros(2, 0).long(), torch.ones(2, columns).bool())
    reasons = explained(one_by_one(counted), table, {str(n): [n] for n in range(columns)})
    assert looks == evaluations(columns)
    np.testing.assert_allclose(reasons.prediction.parts, 1)
    assert reasons.uncertainty is None


def test_they_agree_with_shap_on_a_boosted_head() -> None:
    """Ours hide cells, TreeSHAP follows both branches: their zeros differ, the order of rows and columns hardly."""
    fitting, test = fitting_of("line", head="boosted", features="raw")
    head, rows = choose_head(fitting).head, test.rows.take(slice(0, 200))
    matrix = xgboost.DMatrix(
        tree_inputs(rows, "raw", None).numpy(), feature_types=tree_types(rows.table, "raw", None),
        enable_categorical=True,
    )  # fmt: skip
    shap = head.booster.predict(matrix, pred_contribs=True)[:, :-1]

    def outcome(table: TableTensors, hidden: Collection[int]) -> Outcome:
        return Outcome(head.outputs(HeadRows(rows.flat, without(table, *hidden)))[:, 1:], None)

    ours = explained(one_by_one(outcome), rows.table, column_groups(fitting.preprocessor)).prediction.parts
    assert ours.shape == shap.shape
    assert spearmanr(np.abs(ours).mean(0), np.abs(shap).mean(0)).statistic == 1
    each = {name: spearmanr(ours[:, j], shap[:, j]).statistic for j, name in enumerate(("x", "y", "kind"))}
    assert min(each["x"], each["kind"]) > 0.9
    assert each["y"] > 0.5  # noise that the label does not follow


@pytest.fixture(scope="module")
def classifier(world) -> Callable:
    """A model of classes with gaps in its table."""
    from dataclasses import replace

    from tests.unit.inference.known_table import known_table
    from varjepa.evaluation.probe import fit_probe

    model, table = world.model, known_table(800)
    flat = model.embed(table).mean.flatten(1)
    probe = fit_probe(flat, torch.tensor((table["kind"] == "large").to_numpy()).float(), n_classes=2, l2=1e-2)
    return replace(model, probe=probe), table.head(20)


def test_a_model_explains_its_predictions_and_its_uncertainty(classifier) -> None:
    model, table = classifier
    reasons = model.reasons(table, batch_size=7)
    assert reasons.columns == model.preprocessor.columns or set(reasons.columns) == set(model.preprocessor.columns)
    for part in (reasons.prediction, reasons.uncertainty):
        np.testing.assert_allclose(part.parts.sum(1), part.value - part.base, atol=1e-5)
    order = np.arange(20)[::-1]
    np.testing.assert_allclose(model.reasons(table[order]).prediction.parts, reasons.prediction.parts[order], atol=1e-4)
    top = reasons.top(2)
    assert top.dtype == pl.List(pl.Struct({"column": pl.String, "prediction": pl.Float64, "uncertainty": pl.Float64}))
    assert all(len(row) == 2 for row in top.to_list())
    assert abs(top[0][0]["prediction"]) >= abs(top[0][1]["prediction"])
    text = as_json_text(top.to_frame())["reasons"][0]
    assert text.startswith('[{"column": ')
    assert model.reasons(table.head(0)).top().len() == 0


def test_hiding_everything_is_a_row_of_which_nothing_is_known() -> None:
    table = without(random_table(3), *range(6))
    assert not table.observed.any()
    assert len(set(map(tuple, table.numeric.tolist()))) == 1


def test_what_the_network_expects_stands_in_for_hidden_cells(world) -> None:
    from tests.unit.inference.known_table import known_table

    model = world.model
    table = model.encode(known_table(30))
    table.observed[:5, 1] = False
    embedding = model.embed(known_table(30))
    filled = expected(model.network, table, embedding, [1, table.numeric.shape[1]])
    assert (filled.observed == table.observed).all()
    assert (filled.numeric[:5, 1] == 0).all()  # a gap stays a gap
    assert (filled.numeric[5:, 1] != table.numeric[5:, 1]).all()
    assert (filled.numeric[:, 0] == table.numeric[:, 0]).all()
    assert (filled.codes[:, 0] >= 1).all()
    assert expected(small_t_jepa(), random_table(4), None, [0]).observed[:, 0].any().item() is False


def test_pictures_of_a_row_and_of_a_table() -> None:
    from varjepa.plots import row_reasons, table_reasons

    names, values = [f"a $ long name of column {n}" for n in range(30)], np.linspace(-1, 1, 30)
    row = row_reasons(names, {"prediction": (0.5, values), "uncertainty": (0.1, values)}, "one row")
    assert [len(axis.patches) for axis in row.axes] == [13, 13]
    row.canvas.draw()
    table_reasons(names[:3], {"uncertainty": values[:3]}, 7).canvas.draw()
