"""Cores and memory within the limits of containers and processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from varjepa.machine import GIB, cores, memory_left

ROOT = str(Path(__file__).parents[2])


def groups(folder: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Control groups as files, and the file that names those of the process."""
    for name, content in files.items():
        (folder / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "groups" / name).write_text(content + "\n")
    (folder / "own").write_text(own)
    return folder / "groups", folder / "own"


@pytest.mark.parametrize(("own", "files", "most"), [
    ("0::/\n", {"cpu.max": "50000 100000"}, 1),
    ("0::/\n", {"cpu.max": "max 100000"}, 99),
    ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, 1),
    ("0::/gone\n", {"cpu.max": "150000 100000"}, 2),
    ("4:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "10", "cpu/x/cpu.cfs_quota_us": "100000",
                            "cpu/x/cpu.cfs_period_us": "100000"}, 1),
    ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 99),
    ("", {}, 99),
])  # fmt: skip
def test_cores_are_those_of_affinity_and_quota(tmp_path: Path, own: str, files: dict[str, str], most: int) -> None:
    assert cores(*groups(tmp_path, own, files)) == min(most, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("own", "files"), [
    ("0::/a\n", {"a/memory.max": "max", "memory.max": "3000000", "memory.current": "2500000",
                 "memory.stat": "anon 5\ninactive_file 500000"}),
    ("3:memory:/b\n", {"memory/b/memory.limit_in_bytes": "1000000", "memory/b/memory.usage_in_bytes": "0"}),
])  # fmt: skip
def test_memory_left_is_that_of_the_smallest_group(tmp_path: Path, own: str, files: dict[str, str]) -> None:
    assert memory_left(*groups(tmp_path, own, files)) == 1_000_000


def test_memory_left_knows_the_limit_of_the_address_space() -> None:
    program = (
        "import resource; from varjepa.machine import memory_left\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (2 * {GIB}, 2 * {GIB})); print(memory_left())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": ROOT}, stdout=subprocess.PIPE, check=True
    )
    assert 0 < int(done.stdout) < 2 * GIB


def test_threads_sleep_while_they_wait_unless_the_user_wants_otherwise() -> None:
    program = "import os, varjepa; print(os.environ['OMP_WAIT_POLICY'], os.environ['KMP_BLOCKTIME'])"
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | {"PYTHONPATH": ROOT}
    for more, words in (({"KMP_BLOCKTIME": "7"}, "PASSIVE 7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        done = subprocess.run(
            [sys.executable, "-c", program], env=env | more, stdout=subprocess.PIPE, text=True, check=True
        )
        assert words in done.stdout
