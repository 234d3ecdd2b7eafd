"""The index of a million compact vectors: time and memory to make, recall, and time per query."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Figure, child
from varjepa.inference.vectors.index import VectorIndex

ROWS, SIZE, QUERIES, K = 1_000_000, 64, 300, 10
CLUSTERS, PIECE = 5000, 50_000

KINDS = {"clusters": "rows in 5,000 clusters, directions of falling variance", "noise": "pure noise, the worst case"}

BUILD = """
import sys, time
from pathlib import Path
from benchmarks.vectors import SIZE, pieces
from varjepa.inference.vectors.index import VectorIndex

started, busy = time.perf_counter(), time.process_time()
VectorIndex.write(Path(sys.argv[1]), SIZE, pieces(sys.argv[2]))
print(time.perf_counter() - started, time.process_time() - busy)
"""


def points(kind: str, rows: int, seed: int) -> NDArray[np.float32]:
    """Vectors [rows, SIZE]."""
    random = np.random.default_rng([seed, 1])
    noise = random.standard_normal((rows, SIZE), np.float32)
    if kind == "noise":
        return noise
    falling = np.arange(1, SIZE + 1, dtype=np.float32) ** -0.5
    centers = np.random.default_rng(0).standard_normal((CLUSTERS, SIZE), np.float32)
    return (centers[random.integers(CLUSTERS, size=rows)] + 0.5 * noise) * falling


def pieces(kind: str) -> Iterator[NDArray[np.float32]]:
    """A million vectors, piece by piece."""
    return (points(kind, PIECE, seed) for seed in range(ROWS // PIECE))


def measured(kind: str, folder: Path) -> list[Figure]:
    """One kind of vectors."""
    peak, out = child("-c", BUILD, str(folder), kind)
    imports, _ = child("-c", "import benchmarks.vectors")
    wall, busy = map(float, out.split())
    index, queries = VectorIndex.open(folder, SIZE), points(kind, QUERIES, 12345)
    seconds, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(index.search(query[None], K).rows[0])
        seconds.append(time.perf_counter() - started)
    best, every = torch.empty(QUERIES, 0), torch.empty(QUERIES, 0, dtype=torch.int64)
    for start in range(0, ROWS, PIECE):
        distances = torch.cdist(
            torch.from_numpy(queries), torch.from_numpy(np.array(index.vectors[start : start + PIECE]))
        )
        near, rows = distances.topk(K, largest=False)
        best, every = torch.cat([best, near], 1), torch.cat([every, rows + start], 1)
    true = every.gather(1, best.topk(K, largest=False).indices).numpy()
    recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, true, strict=True)]))
    what, disk = KINDS[kind], sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    return [
        Figure(f"{what}: index a million", wall, "s", None, "under 60"),
        Figure(f"{what}: the same, time of all cores together", busy, "s"),
        Figure(f"{what}: peak memory, {imports:.2f} GiB of it imports", peak, "GiB", None, "under 1"),
        Figure(f"{what}: on disk", disk, "MiB"),
        Figure(f"{what}: recall of the {K} nearest", recall, "", None, "at least 0.95"),
        Figure(f"{what}: a query, median", 1e3 * float(np.median(seconds)), "ms", None, "under 5"),
        Figure(f"{what}: a query, 99th percentile", 1e3 * float(np.quantile(seconds, 0.99)), "ms"),
    ]


def run() -> list[Figure]:
    """Every kind of vectors."""
    figures = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            figures += measured(kind, Path(name))
    return figures
