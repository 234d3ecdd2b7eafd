"""Nearest vectors: exactly where there are few, by a graph (HNSW, Malkov and Yashunin 2016) where there are many."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from usearch.index import Index

from varjepa.machine import cores

EXACT_ROWS = 50_000
"""Up to this many rows every distance is computed."""

CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 40, 160
"""Of the graph: edges per row, and candidates looked at when a row is added and when one is looked for."""

SPARE = 16
"""Candidates beyond k whose distances are computed anew, in full precision: the graph holds half the digits."""

QUERIES, ROWS = 256, 2**16
"""Queries and rows whose distances are in memory at a time."""

VECTORS, GRAPH = "vectors.f32", "graph.usearch"
"""Files of an index: the numbers of all vectors one after the other, and the graph."""


class Neighbours(NamedTuple):
    """The nearest rows of queries, the nearest first; of equal distances, the first of the table.

    Attributes:
        rows: int64 [Q, k], -1 where there are fewer.
        distances: Euclidean, float32 [Q, k], infinite where there are fewer.
    """

    rows: NDArray[np.int64]
    distances: NDArray[np.float32]


@dataclass(frozen=True)
class VectorIndex:
    """Vectors that can be searched.

    Attributes:
        vectors: float32 [N, size], in memory or memory-mapped.
        graph: of usearch; None where every distance is computed.
    """

    vectors: NDArray[np.float32]
    graph: Index | None = None

    @classmethod
    def build(cls, vectors: NDArray[np.float32], threads: int = 0) -> Self:
        """An index in memory; 0 threads mean one per core."""
        if len(vectors) <= EXACT_ROWS:
            return cls(vectors)
        graph, threads = _new_graph(vectors.shape[1]), threads or cores()
        for start in range(0, len(vectors), ROWS):
            piece = np.asarray(vectors[start : start + ROWS])
            graph.add(np.arange(start, start + len(piece)), piece, threads=threads)
        return cls(vectors, graph)

    @classmethod
    def write(cls, folder: Path, size: int, pieces: Iterable[NDArray[np.float32]]) -> Self:
        """Builds an index in a folder, with one piece of the vectors in memory at a time.

        Args:
            folder: there. Whoever searches an earlier index in it goes on undisturbed.
            size: numbers of a vector.
            pieces: float32 [n, size].
        """
        vectors, graph = (folder / f"{name}.part" for name in (VECTORS, GRAPH))
        with vectors.open("wb") as stream:
            for piece in pieces:
                stream.write(np.ascontiguousarray(piece, np.float32).tobytes())
        built = cls.build(_mapped(vectors, size)).graph
        (folder / GRAPH).unlink(missing_ok=True)
        vectors.replace(folder / VECTORS)
        if built is not None:
            built.save(str(graph))
            graph.replace(folder / GRAPH)
        return cls.open(folder, size)

    @classmethod
    def open(cls, folder: Path, size: int) -> Self:
        """Opens an index of vectors of `size` numbers; its files are mapped, not read."""
        vectors = _mapped(folder / VECTORS, size)
        if not (folder / GRAPH).is_file():
            return cls(vectors)
        graph = Index.restore(str(folder / GRAPH), view=True, expansion_search=EXPANSION_SEARCH)
        return cls(vectors, graph)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int = 10,
        *,
        leave_out: NDArray[np.int64] | None = None,
        beyond: float | None = None,
    ) -> Neighbours:
        """The nearest rows.

        Args:
            queries: float32 [Q, size].
            k: how many.
            leave_out: a row for each query that is no neighbour of it [Q], such as itself.
            beyond: a distance up to which rows are no neighbours, as they are the same as the query.
        """
        found = []
        for start in range(0, max(len(queries), 1), QUERIES):
            part = slice(start, start + QUERIES)
            found.append(self._search(queries[part], k, None if leave_out is None else leave_out[part], beyond))
        return Neighbours(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _search(
        self, queries: NDArray[np.float32], k: int, leave_out: NDArray[np.int64] | None, beyond: float | None
    ) -> Neighbours:
        count = min(k + SPARE, len(self.vectors))
        if self.graph is None:
            return self._best(queries, k, self._exact(queries, count, beyond), leave_out, beyond)
        near = _near(self.graph, queries, count, len(self.vectors))
        found = self._best(queries, k, near, leave_out, beyond)
        # The candidates of a query with many copies may all be copies, and a graph may not reach every row.
        lacking = (found.rows[:, : max(0, min(k, len(self.vectors) - 1))] < 0).any(1)
        if beyond is not None and bool(lacking.any()):
            out = None if leave_out is None else leave_out[lacking]
            candidates = self._exact(queries[lacking], count, beyond)
            found.rows[lacking], found.distances[lacking] = self._best(queries[lacking], k, candidates, out, beyond)
        return found

    def _best(
        self,
        queries: NDArray[np.float32],
        k: int,
        candidates: NDArray[np.int64],
        leave_out: NDArray[np.int64] | None,
        beyond: float | None,
    ) -> Neighbours:
        """The nearest of some candidates [Q, count], -1 where there is none."""
        rows = np.maximum(candidates, 0)
        # Anew from differences: products of large vectors lose the digits of small distances.
        distances = np.sqrt(np.square(self.vectors[rows] - queries[:, None]).sum(2))  # [Q, count]
        excluded = candidates < 0
        if leave_out is not None:
            excluded |= candidates == leave_out[:, None]
        if beyond is not None:
            excluded |= distances <= beyond
        distances[excluded] = np.inf
        order = np.lexsort((rows, distances))[:, :k]
        distances, rows = (np.take_along_axis(values, order, 1) for values in (distances, rows))
        return _padded(np.where(np.isinf(distances), -1, rows), distances, k)

    def _exact(self, queries: NDArray[np.float32], count: int, beyond: float | None) -> NDArray[np.int64]:
        """The nearest of all rows that are farther than `beyond`, [Q, count]; -1 where there are fewer."""
        # With 64 bits even the smallest distances are right, so that equal rows are told from near ones.
        dtype = torch.float32 if beyond is None else torch.float64
        asked = torch.from_numpy(np.array(queries)).to(dtype)
        best, rows = asked.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
        for start in range(0, len(self.vectors), ROWS):
            piece = torch.from_numpy(np.array(self.vectors[start : start + ROWS])).to(dtype)
            distances = torch.cdist(asked, piece)
            if beyond is not None:
                distances[distances <= beyond] = torch.inf
            numbers = torch.arange(start, start + len(piece)).expand(len(queries), -1)
            best, rows = torch.cat([best, distances], 1), torch.cat([rows, numbers], 1)
            best, places = best.topk(min(count, best.shape[1]), largest=False)
            rows = rows.gather(1, places)
        return rows.masked_fill(best.isinf(), -1).numpy()


def _near(graph: Index, queries: NDArray[np.float32], count: int, n_rows: int) -> NDArray[np.int64]:
    """Candidates of a graph of `n_rows` rows [Q, count]."""
    keys = np.atleast_2d(graph.search(queries, count, threads=cores()).keys)
    rows = np.full((len(queries), count), -1, np.int64)
    rows[:, : keys.shape[1]] = keys.astype(np.int64)
    # Where the graph finds fewer, usearch leaves keys that are no rows.
    return np.where((rows >= 0) & (rows < n_rows), rows, -1)


def _new_graph(size: int) -> Index:
    return Index(ndim=size, metric="l2sq", dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION_ADD,
                 expansion_search=EXPANSION_SEARCH)  # fmt: skip


def _mapped(path: Path, size: int) -> NDArray[np.float32]:
    """Rows of `size` numbers in a file; an empty file cannot be mapped."""
    rows = path.stat().st_size // (4 * size)
    if not rows:
        return np.empty((0, size), np.float32)
    return np.memmap(path, np.float32, "r", shape=(rows, size))


def _padded(rows: NDArray[np.int64], distances: NDArray[np.float32], k: int) -> Neighbours:
    width = ((0, 0), (0, k - rows.shape[1]))
    return Neighbours(
        np.pad(rows, width, constant_values=-1), np.pad(distances, width, constant_values=np.inf).astype(np.float32)
    )
