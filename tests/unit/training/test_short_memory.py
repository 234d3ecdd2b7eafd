"""Training and embedding go on in smaller parts where the system gives no more memory, with the same results."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import torch

from varjepa.errors import VarjepaError
from varjepa.memory import in_parts, out_of_memory, smaller, warn_of_little_memory, watched_memory

ROOT = str(Path(__file__).parents[3])

PROGRAM = """
import logging, resource, sys
import torch
from tests.small_networks import random_table, small_network
from tests.unit.training import small_runs
from varjepa.memory import OutOfMemoryError
from varjepa.models.embedding import embed
from varjepa.training import activations

logging.basicConfig(stream=sys.stdout, format="%(message)s")
small_runs.correlated = lambda: (random_table(8192), random_table(512, seed=1))
activations.ACTIVATIONS = 2**40
activations.memory_left = lambda: None
training = small_runs.TRAINING.model_copy(update={"max_epochs": 1, "batch_size": 4096, "precision": "float32"})
# Threads and code are loaded before the limit.
small_runs.trainer(training.model_copy(update={"batch_size": 64, "epoch_rows": 128})).fit(*[small_runs.quiet] * 2)
run, network = small_runs.trainer(training), small_network()
table = random_table(20000)


def limit(mebibytes):
    if sys.argv[2] == "short":
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20, resource.RLIM_INFINITY))


def with_little(work):
    # What one row takes differs between machines (kernels, allocator), so that the least that suffices is looked for.
    mebibytes = 60
    while True:
        limit(mebibytes)
        try:
            return work()
        except OutOfMemoryError:
            if mebibytes > 2**14:
                raise
            mebibytes = mebibytes * 3 // 2


mean = with_little(lambda: embed(network, table, 20000).mean)
(epoch,) = with_little(lambda: run.fit(small_runs.quiet, small_runs.quiet).history)
terms = [value for name, value in sorted(epoch.items()) if name.startswith(("train/", "validation/"))]
torch.save((torch.tensor(terms), mean.mean(0)), sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_training_with_little_memory_gives_the_same_results(tmp_path: Path) -> None:
    said = {}
    for which in ("short", "plenty"):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / which), which], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1"}, check=True,
        )  # fmt: skip
        said[which] = done.stdout
    assert "memory is short: going on with 2048 instead of 4096 rows at a time" in said["short"]
    assert "memory is short: going on with 10000 instead of 20000 rows" in said["short"]
    assert said["plenty"] == ""
    short, plenty = (torch.load(tmp_path / which) for which in ("short", "plenty"))
    for few, all_ in zip(short, plenty, strict=True):
        torch.testing.assert_close(few, all_, rtol=1e-4, atol=1e-5)


@pytest.fixture(autouse=True)
def onednn() -> Iterator[None]:
    """As before, after a test that leaves it out."""
    yield
    torch.backends.mkldnn.set_flags(_enabled=True)


@pytest.mark.parametrize("error", [
    MemoryError(), RuntimeError("could not create a primitive"), RuntimeError("std::bad_alloc"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
])  # fmt: skip
def test_rows_are_computed_in_smaller_parts_from_where_memory_runs_out(error: Exception) -> None:
    def compute(rows: slice) -> list[int]:
        here = list(range(100))[rows]
        if len(here) > 12:
            raise error
        return here

    assert out_of_memory(error)
    parts = list(in_parts(compute, 100, 64))
    assert [row for part in parts for row in part] == list(range(100))
    assert max(len(part) for part in parts) == 8
    assert torch.backends.mkldnn.enabled == ("primitive" not in str(error))  # it would fail again


def test_little_memory_is_said_before_work(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for left, said in ((None, False), (2**40, False), (2**29, True)):
        monkeypatch.setattr("varjepa.memory.memory_left", lambda left=left: left)
        caplog.clear()
        with caplog.at_level("WARNING", "varjepa"):
            warn_of_little_memory()
        assert ("only 0.50 GiB of memory are left" in caplog.text) == said


def test_memory_that_gets_short_is_said_each_time_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mib = 2**20
    left = iter([None, 300 * mib, 100 * mib, 90 * mib, 150 * mib, 90 * mib, 500 * mib, 80 * mib])
    done = Event()

    def next_left() -> int | None:
        value = next(left, mib)
        if value == mib:
            done.set()
        return value

    monkeypatch.setattr("varjepa.memory.memory_left", next_left)
    monkeypatch.setattr("varjepa.memory.LOOK_SECONDS", 0.001)
    with caplog.at_level("WARNING", "varjepa"), watched_memory():
        assert done.wait(10)
    assert [record.args[0] for record in caplog.records] == [100, 80]


def test_other_errors_pass_and_a_row_too_large_is_said() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(in_parts(lambda _: (_ for _ in ()).throw(RuntimeError("shapes differ")), 4, 2))
    with pytest.raises(VarjepaError, match="even for one row at a time"):
        list(in_parts(lambda _: (_ for _ in ()).throw(MemoryError()), 4, 2))
    assert smaller(2) == 1
