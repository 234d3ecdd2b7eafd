"""The nearest rows, exactly and by a graph."""

from pathlib import Path

import numpy as np
import pytest

from varjepa.inference.vectors import index as module
from varjepa.inference.vectors.index import VectorIndex
from varjepa.inference.vectors.neighbours import near_duplicates, outliers, similar_rows


def clouds(rows: int, size: int = 16, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(50, size))
    return (centers[random.integers(50, size=rows)] + 0.3 * random.normal(size=(rows, size))).astype(np.float32)


def brute(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    distances = np.sqrt(((queries[:, None].astype(np.float64) - vectors[None]) ** 2).sum(2))
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@pytest.fixture(params=["exact", "graph"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "graph":
        monkeypatch.setattr(module, "EXACT_ROWS", 0)
    monkeypatch.setattr(module, "ROWS", 700)  # several pieces
    return request.param


@pytest.mark.slow
def test_the_nearest_rows_are_found(kind: str) -> None:
    vectors, queries = clouds(3000), clouds(300, seed=1)
    found, true = VectorIndex.build(vectors).search(queries, 10), brute(vectors, queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.rows, true, strict=True)])
    assert recall == 1 if kind == "exact" else recall > 0.99
    assert (np.diff(found.distances) >= 0).all()


def test_an_index_on_disk_gives_the_same_and_is_mapped(kind: str, tmp_path: Path) -> None:
    vectors, queries = clouds(2000), clouds(300, seed=1)
    VectorIndex.write(tmp_path, 16, (vectors[start : start + 300] for start in range(0, 2000, 300)))
    opened = VectorIndex.open(tmp_path, 16)
    assert isinstance(opened.vectors, np.memmap)
    assert (opened.graph is not None) == (kind == "graph")
    np.testing.assert_array_equal(opened.vectors, vectors)
    found = opened.search(queries, 5)
    again = VectorIndex.open(tmp_path, 16).search(queries, 5)
    np.testing.assert_array_equal(found.rows, again.rows)
    # Queries one by one.
    alone = np.concatenate([opened.search(queries[n : n + 1], 5).rows for n in range(20)])
    np.testing.assert_array_equal(alone, found.rows[:20])
    # A smaller index in the same folder leaves nothing of the larger one.
    VectorIndex.write(tmp_path, 16, [vectors[:3]])
    assert len(VectorIndex.open(tmp_path, 16).vectors) == 3
    assert {path.suffix for path in tmp_path.iterdir()} <= {".f32", ".usearch"}


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_there_may_be_fewer_rows_than_neighbours(kind: str, rows: int) -> None:
    found = VectorIndex.build(clouds(rows)).search(clouds(3, seed=1), 10)
    assert found.rows.shape == (3, 10)
    assert (found.rows[:, :rows] >= 0).all()
    assert (found.rows[:, rows:] == -1).all()
    assert np.isinf(found.distances[:, rows:]).all()
    assert similar_rows(VectorIndex.build(clouds(rows)), clouds(3, seed=1)).height == 3 * rows


def test_no_queries_give_no_neighbours(kind: str) -> None:
    assert VectorIndex.build(clouds(5)).search(clouds(0), 3).rows.shape == (0, 3)


def test_equal_rows_can_be_left_out_however_many_there_are(kind: str) -> None:
    vectors = np.concatenate([np.repeat(clouds(1), 200, axis=0), clouds(100, seed=2)])
    index = VectorIndex.build(vectors)
    with_copies = similar_rows(index, vectors[:2], 5)
    assert with_copies["distance"].max() == 0
    others = similar_rows(index, vectors[:2], 5, leave_same=True)
    assert others.height == 10
    assert others["row"].min() >= 200


def test_near_duplicates_are_pairs_once(kind: str) -> None:
    vectors = clouds(1000)
    vectors[700] = vectors[3] + 1e-4
    vectors[10] = vectors[20]
    found = near_duplicates(VectorIndex.build(vectors), 0.05)
    assert found.select("row", "other").rows() == [(10, 20), (3, 700)]
    assert near_duplicates(VectorIndex.build(vectors[:0])).height == 0


def test_outliers_are_far_from_their_neighbours(kind: str) -> None:
    vectors = clouds(1000)
    vectors[5] += 30
    vectors[77] -= 60
    found = outliers(VectorIndex.build(vectors), 3)
    assert found["row"].to_list()[:2] == [77, 5]
    assert found.height == 3
    for rows in (0, 1):
        assert outliers(VectorIndex.build(vectors[:rows])).height == 0
    assert outliers(VectorIndex.build(vectors[:2])).height == 2
