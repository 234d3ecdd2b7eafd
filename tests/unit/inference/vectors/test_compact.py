"""Compact vectors: nested, independent of the rows beside them, and chosen without a label."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tests.small_networks import random_table, small_network
from tests.unit.inference.known_table import known_table, with_gaps
from tests.unit.models.test_t_jepa import small_t_jepa
from varjepa.errors import ConfigError, ModelError
from varjepa.inference.hidden_cells import without
from varjepa.inference.storage import load_model, model_digest, save_model
from varjepa.inference.vectors.compact import LARGEST, SHAPES, Shape, fit_bases
from varjepa.inference.vectors.fitting import fit_compact
from varjepa.inference.vectors.recovery import HiddenCells, average, is_clearly_better, recovered_shares


@pytest.fixture(scope="module")
def model(world: SimpleNamespace):
    train = world.model.encode(known_table(1500))
    compact = fit_compact(world.model.network, train, world.model.encode(known_table(600, 1)))
    return replace(world.model, compact=compact)


@pytest.mark.parametrize("shape", SHAPES)
def test_shorter_vectors_are_beginnings_of_longer_ones(shape: Shape) -> None:
    (basis,) = fit_bases(torch.randn(300, 4, 6, generator=torch.Generator().manual_seed(0)), (shape,))
    flat = torch.randn(20, 24, generator=torch.Generator().manual_seed(1))
    whole = basis.project(flat, LARGEST)
    assert whole.shape == (20, LARGEST)
    assert (whole[:, 24:] == 0).all()
    for size in (1, 7, 24, 60):
        torch.testing.assert_close(basis.project(flat, size), whole[:, :size])


@pytest.mark.parametrize("shape", SHAPES)
def test_two_rows_are_usually_one_apart(shape: Shape) -> None:
    embedding = (
        torch.randn(2000, 5, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 3, 9, 1, 20.0])[:, None]
    )
    (basis,) = fit_bases(embedding, (shape,))
    points = basis.project(embedding.flatten(1), 64)
    apart = (points[:1000] - points[1000:]).square().sum(1).mean().sqrt()
    assert float(apart) == pytest.approx(1, abs=0.05)


def test_full_whitening_makes_all_directions_vary_equally() -> None:
    embedding = torch.randn(3000, 3, 4, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, 5)
    (basis,) = fit_bases(embedding, (Shape(1.0, 1.0),))
    deviations = basis.project(embedding.flatten(1), 12).std(0)
    torch.testing.assert_close(deviations, deviations.mean().expand(12), rtol=0.05, atol=0)


@pytest.mark.parametrize("rows", [1, 2, 11])
def test_few_or_equal_training_rows_give_finite_vectors(rows: int) -> None:
    for embedding in (torch.randn(rows, 3, 4), torch.ones(rows, 3, 4)):
        for basis in fit_bases(embedding):
            assert torch.isfinite(basis.project(embedding.flatten(1), 8)).all()


def test_vectors_of_a_model(model) -> None:
    table = with_gaps(known_table(200, 3), 0.3)
    vectors = model.vectors(table)
    assert vectors.shape == (200, 64)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    order = np.random.default_rng(0).permutation(200)[:50]
    np.testing.assert_allclose(model.vectors(table[order], batch_size=7), vectors[order], atol=1e-4)
    np.testing.assert_allclose(model.vectors(table, 16), vectors[:, :16], atol=1e-6)
    np.testing.assert_array_equal(model.vectors(table), vectors)
    assert model.vectors(table.head(0)).shape == (0, 64)


@pytest.mark.parametrize("size", [0, -1, 257])
def test_a_size_out_of_range_is_refused(model, size: int) -> None:
    with pytest.raises(ConfigError, match="Expected 1 to 256"):
        model.vectors(known_table(3), size)


def test_a_model_without_them_says_so(world: SimpleNamespace) -> None:
    with pytest.raises(ModelError, match=r"no compact vectors.*Retrain"):
        world.model.vectors(known_table(3))


def test_they_are_stored_with_the_model(model, tmp_path: Path) -> None:
    table = known_table(30, 5)
    save_model(tmp_path, model)
    again = load_model(tmp_path, "cpu")
    np.testing.assert_array_equal(again.vectors(table), model.vectors(table))
    assert again.compact.shape == model.compact.shape
    before = model_digest(tmp_path)
    (tmp_path / "vectors.safetensors").write_bytes(b"damaged")
    assert model_digest(tmp_path) != before
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path, "cpu")


@pytest.mark.parametrize("network", [small_network, small_t_jepa])
def test_every_kind_of_network_has_them(network) -> None:
    basis = fit_compact(network(), random_table(400), random_table(100, seed=1))
    assert basis.basis.shape[1] > 8
    again = fit_compact(network(), random_table(400), random_table(100, seed=1))
    torch.testing.assert_close(again.basis, basis.basis)


def test_hidden_cells_are_recovered_where_neighbours_know_them() -> None:
    """A feature that equals the first component is recovered; a coin is not."""
    generator = torch.Generator().manual_seed(0)
    line = torch.rand(500, 1, 1, generator=generator)
    embedding = torch.cat([line, line, 0.01 * torch.randn(500, 1, 1, generator=generator)], 2)
    (basis,) = fit_bases(embedding, SHAPES[:1])
    flat, coin = embedding.flatten(1), torch.rand(500, 1, generator=generator).round().double()
    hidden = [HiddenCells(0, flat[:100], known[:100], known) for known in (line[:, 0].double(), coin)]
    known, guessed = recovered_shares(basis, flat, hidden)
    assert float(known.mean()) > 0.95
    assert -0.3 < float(guessed.mean()) < 0.3  # ten neighbours, the row itself among them


def test_another_shape_must_be_clearly_better() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(100, generator=generator) for _ in range(3)]
    assert not is_clearly_better(noise, [share + 0.1 * torch.randn(100, generator=generator) for share in noise])
    assert is_clearly_better([share + 0.2 for share in noise], [share + 0.1 * torch.randn(100) for share in noise])
    assert not is_clearly_better([], [])
    assert np.isnan(average([]))


def test_a_hidden_feature_is_missing_and_nothing_else() -> None:
    table = random_table(50)
    hidden = without(table, 1, 4)
    assert not hidden.observed[:, [1, 4]].any()
    assert (hidden.observed[:, [0, 2, 3, 5]] == table.observed[:, [0, 2, 3, 5]]).all()
    assert (hidden.numeric[:, 1] == 0).all()
    assert (hidden.codes[:, 1] == 0).all()


@pytest.mark.slow
def test_no_label_takes_part() -> None:
    """The estimator never sees a label, and its vectors are there all the same."""
    from tests.unit.inference.test_estimator import TINY
    from varjepa import VarTJEPA

    table = known_table(300)
    model = VarTJEPA(TINY).fit(table)
    assert model.vectors(table, 8).shape == (300, 8)
    found = model.similar(table, table.head(4), k=3, leave_same=True)
    assert found.columns == ["query", "rank", "row", "distance"]
    assert found.height == 12
    assert (found["query"] != found["row"]).all()
    assert model.near_duplicates(pl.concat([table, table.head(2)]), 1e-3).head(2)["distance"].max() < 1e-3
    assert model.outliers(table, 5, k=3).height == 5


def test_vectors_of_a_collapsed_embedding_are_alike_and_have_a_number() -> None:
    """Without one, a finished model could not be read, and the gate had nothing to refuse."""
    for basis in fit_bases(torch.ones(30, 4, 2)):
        assert basis.basis.shape == (8, 1)
        assert basis.project(torch.ones(5, 8), 1).abs().max() == 0
