"""Processes that share every batch learn what one learns alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.training import shared_batches
from varjepa.nn.dropout import positions
from varjepa.nn.random import Randomness
from varjepa.training.distributed import World, local_device

ONE_MACHINE = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
TIMES = {"training/seconds", "training/rows_per_second"}


def run_together(out: Path, kind: str, rows: int, processes: int = 2, **files: Path) -> dict:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
               shared_batches.__file__, str(out), kind, str(rows)]  # fmt: skip
    command += [f"{name}={path}" for name, path in files.items()]
    root = str(Path(__file__).parents[3])
    subprocess.run(command, check=True, env=os.environ | ONE_MACHINE | {"PYTHONPATH": root}, timeout=300)
    return torch.load(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["var_t_jepa", "t_jepa"])
def test_two_processes_have_the_loss_curve_of_one(kind: str, tmp_path: Path) -> None:
    # 193 rows in batches of 32: the last batch has one row, which two processes cannot divide.
    together = run_together(tmp_path / "together.pt", kind, 193)
    shared_batches.main(tmp_path / "alone.pt", kind, 193)
    alone = torch.load(tmp_path / "alone.pt")
    assert (alone["size"], together["size"]) == (1, 2)
    for mine, theirs in zip(alone["history"], together["history"], strict=True):
        assert mine.keys() == theirs.keys()
        for name in mine.keys() - TIMES:
            assert theirs[name] == pytest.approx(mine[name], abs=1e-4, rel=1e-4), name
    for name, value in alone["weights"].items():
        torch.testing.assert_close(together["weights"][name], value, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_processes_go_on_from_the_leaders_checkpoint(tmp_path: Path) -> None:
    # 10 steps an epoch, a checkpoint after 8 of them: what is left there is put back as if a kill had followed.
    checkpoint, within = tmp_path / "checkpoint.pt", tmp_path / "within.pt"
    whole = run_together(tmp_path / "whole.pt", "t_jepa", 305, checkpoint=checkpoint, keep=within)
    assert len(torch.load(checkpoint)["history"]) == 4
    content = torch.load(within)
    assert (len(content["history"]), content["position"]["step"]) == (3, 8)
    within.replace(checkpoint)
    again = run_together(tmp_path / "again.pt", "t_jepa", 305, checkpoint=checkpoint)
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
        mine = Randomness.seeded(3).of_rows(rows, 10)
        assert torch.equal(mine.normal_like(x[rows]), noise[rows])
        found = positions(3 * (rows.stop - rows.start), 0.2, mine, x.device, 3)
        parts.append([some + 3 * rows.start for some in found])
    for hit, some in zip(hits, zip(*parts, strict=True), strict=True):
        assert torch.equal(torch.cat(some).sort().values, hit.sort().values)


def test_gpus_are_shared_out_by_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device(torch.device("cuda")) == torch.device("cuda", 1)
    assert local_device(torch.device("cuda:0")) == torch.device("cuda", 0)
    assert local_device(torch.device("cpu")) == torch.device("cpu")
