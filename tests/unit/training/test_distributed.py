"""Processes that share every batch learn what one learns alone."""

import json
import os
import re
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.unit.training import shared_batches
from varjepa.nn.dropout import positions
from varjepa.nn.random import Randomness
from varjepa.training.distributed import World, local_device

ONE_MACHINE = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
TIMES = {"training/seconds", "training/rows_per_second"}


def run_together(*jobs: dict[str, Any], processes: int = 2) -> list[dict]:
    """What came of jobs that the same processes trained one after the other (see `shared_batches.py`)."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               shared_batches.__file__, json.dumps(jobs, default=str)]  # fmt: skip
    root = str(Path(__file__).parents[3])
    subprocess.run(command, check=True, env=os.environ | ONE_MACHINE | {"PYTHONPATH": root}, timeout=300)
    return [torch.load(job["out"]) for job in jobs]


# 193 rows in batches of 32: the last batch has one row, which two processes cannot divide.
# 305 rows: 10 steps an epoch, a checkpoint after 8 of them.
@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Both kinds of networks on 193 rows, and one whose checkpoints are kept, trained by two processes."""
    home = tmp_path_factory.mktemp("together")
    kept = {"out": home / "kept.pt", "kind": "t_jepa", "rows": 305, "checkpoint": home / "checkpoint.pt"}
    jobs = [{"out": home / f"{kind}.pt", "kind": kind, "rows": 193} for kind in ("var_t_jepa", "t_jepa")]
    var_t_jepa, t_jepa, whole = run_together(*jobs, kept | {"keep": home / "within.pt"})
    return SimpleNamespace(home=home, var_t_jepa=var_t_jepa, t_jepa=t_jepa, kept=kept, whole=whole)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_two_processes_have_the_loss_curve_of_one(kind: str, together: SimpleNamespace, tmp_path: Path) -> None:
    both = getattr(together, kind)
    shared_batches.main([{"out": tmp_path / "alone.pt", "kind": kind, "rows": 193}])
    alone = torch.load(tmp_path / "alone.pt")
    assert (alone["size"], both["size"]) == (1, 2)
    for mine, theirs in zip(alone["history"], both["history"], strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - TIMES:
            assert theirs[name] == pytest.approx(mine[name], abs=1e-4, rel=1e-4), name
    for name, value in alone["weights"].items():
        torch.testing.assert_close(both["weights"][name], value, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_processes_go_on_from_the_leaders_checkpoint(together: SimpleNamespace) -> None:
    # What is left after 8 steps is put back as if a kill had followed.
    checkpoint, within, whole = together.kept["checkpoint"], together.home / "within.pt", together.whole
    assert len(torch.load(checkpoint)["history"]) == 4
    content = torch.load(within)
    assert (len(content["history"]), content["position"]["step"]) == (3, 8)
    within.replace(checkpoint)
    (again,) = run_together(together.kept | {"out": together.home / "again.pt"})
    for mine, theirs in zip(whole["history"], again["history"], strict=True):
        assert {k: mine[k] for k in mine.keys() - TIMES} == {k: theirs[k] for k in theirs.keys() - TIMES}
    assert all(torch.equal(again["weights"][name], value) for name, value in whole["weights"].items())


@pytest.mark.slow
def test_after_an_error_the_processes_end_and_say_why(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import torch\nfrom varjepa.training.distributed import joined_world\n"
        "with joined_world(torch.device('cpu')) as world:\n    raise ValueError(f'rank {world.rank} of {world.size}')\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    environment = os.environ | ONE_MACHINE | {"PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert re.search(r"ValueError: rank [01] of 2", ended.stderr)


def test_shares_cover_a_batch_once_and_weigh_its_mean() -> None:
    for size in (1, 2, 3, 7):
        worlds = [World(rank, size) for rank in range(size)]
        for rows in (1, 2, 7, 64):
            shares = [world.share(rows) for world in worlds]
            values = torch.arange(rows, dtype=torch.float64)
            weighted = sum(float(values[mine].mean()) * world.weight(rows)
                           for mine, world in zip(shares, worlds, strict=True))  # fmt: skip
            assert weighted == pytest.approx(float(values.mean()))
            if rows >= size:
                assert torch.equal(torch.cat([values[mine] for mine in shares]), values)


def test_what_is_drawn_for_a_row_does_not_depend_on_who_draws_it() -> None:
    x, halves = torch.zeros(10, 3), (slice(0, 4), slice(4, 10))
    whole = Randomness.seeded(3)
    noise, hits = whole.normal_like(x), positions(30, 0.2, whole, x.device, 3)
    parts = []
    for rows in halves:
        (mine,) = Randomness.seeded(3).of_parts([rows], 10)
        assert torch.equal(mine.normal_like(x[rows]), noise[rows])
        found = positions(3 * (rows.stop - rows.start), 0.2, mine, x.device, 3)
        parts.append([some + 3 * rows.start for some in found])
    for hit, some in zip(hits, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(some).sort().values, hit.sort().values)


@pytest.mark.parametrize("order", permutations(range(3)))
def test_parts_of_a_process_draw_once_for_all_of_them(order: tuple[int, ...]) -> None:
    """A part drew for the whole batch by itself: a fifth of the time of training on 1,500 columns."""
    x, rows = torch.zeros(10, 3), (slice(0, 4), slice(4, 9), slice(9, 10))
    whole, shared = Randomness.seeded(3), Randomness.seeded(3)
    noise, hits, more = whole.normal_like(x), positions(30, 0.2, whole, x.device, 1)[0], whole.normal_like(x)
    parts = shared.of_parts(rows, 10)
    for number in order:
        part, mine = rows[number], parts[number]
        assert torch.equal(mine.normal_like(x[part]), noise[part])
        (found,) = positions(3 * (part.stop - part.start), 0.2, mine, x.device, 1)
        assert set((found + 3 * part.start).tolist()) == {
            hit for hit in hits.tolist() if 3 * part.start <= hit < 3 * part.stop
        }
        assert torch.equal(mine.normal_like(x[part]), more[part])
    assert torch.equal(shared.normal_like(x), whole.normal_like(x))  # both have drawn as much


def test_gpus_are_shared_out_by_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert local_device(torch.device("cuda:0")) == torch.device("cuda", 0)
    assert local_device(torch.device("cpu")) == torch.device("cpu")
