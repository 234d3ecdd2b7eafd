"""Processes that do not outlive their owner, and signals that do not reach them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = str(Path(__file__).parents[4])

CHILD = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]

OWNERS = {
    "bound": "child = bound.start_bound(CHILD)",
    "watched": "child = subprocess.Popen(CHILD, start_new_session=True); bound.watch(child.pid, 9)",
    "by itself": "child = subprocess.Popen([sys.executable, '-c', BY_ITSELF], stdout=-1); child.stdout.readline()",
}
BY_ITSELF = """
from varjepa.tasks.processes.bound import end_with_parent
end_with_parent()
print("bound", flush=True)
time.sleep(60)
"""


def owner(how: str) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A process in a group of its own that has started a child, and that child."""
    program = f"import subprocess, sys, time\nfrom varjepa.tasks.processes import bound\nCHILD = {CHILD}\n"
    program += f"BY_ITSELF = {BY_ITSELF!r}\n{OWNERS[how]}\nprint(child.pid, flush=True)\ntime.sleep(60)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": ROOT},
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, psutil.Process(int(process.stdout.readline()))


@pytest.mark.parametrize("how", OWNERS)
def test_a_child_ends_with_its_killed_owner(how: str) -> None:
    process, child = owner(how)
    process.kill()
    process.wait()
    assert not psutil.wait_procs([child], timeout=10)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_does_not_reach_a_bound_child(number: signal.Signals) -> None:
    process, child = owner("bound")
    try:
        assert os.getsid(child.pid) == child.pid
        assert signal.SIGINT not in _ignored_or_blocked(child.pid)
    finally:
        os.killpg(process.pid, number)
        process.wait()
        psutil.wait_procs([child], timeout=10)


def _ignored_or_blocked(pid: int) -> set[int]:
    """Signals that a process of Linux ignores or blocks."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return set()
    masks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    return {number for mask in masks for number in range(1, 32) if int(mask, 16) >> (number - 1) & 1}


GOES_ON = """
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""
ENDS = {
    "at once": ("time.sleep(60)", 1.5),
    "although it goes on": (GOES_ON, 8),
    "in a library": ("hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", 8),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ENDS)
def test_a_command_ends_within_seconds_of_a_signal(how: str, number: signal.Signals) -> None:
    work, seconds = ENDS[how]
    program = (
        "import hashlib, time\nfrom varjepa.tasks.processes import signals\nsignals.GRACE = 1.0\n"
        f"signals.end_on_signals('interrupted', '{{}}')\nprint('ready', flush=True)\n{work}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)  # it is at work
    began = time.monotonic()
    process.send_signal(number)
    time.sleep(0.1)
    process.send_signal(number)  # again, as impatient people do
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began < seconds
    if how == "at once":
        assert "KeyboardInterrupt" in err
    else:
        assert (process.returncode, out, err) == (1, "{}", "interrupted")
