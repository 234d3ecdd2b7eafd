"""Whether the owner of a run lives does not hang on the clock of the machine."""

import subprocess
import sys

import psutil
import pytest

from varjepa.tasks.processes.owner import lives, this_process

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="there only the clock tells when a process began")


@LINUX
@pytest.mark.parametrize("step", [-3600.0, 30.0])
def test_a_clock_that_was_set_ends_nobody(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """Its runs would be taken over, and its training processes killed."""
    before, began = this_process(), psutil.Process.create_time
    # The machine's clock cannot be set here; psutil's times move with it.
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + step)
    assert lives(before)
    assert not lives(before.replace("@", "@1", 1).rsplit("@", 1)[0])  # a mark without the other clock goes by this one


@LINUX
def test_a_number_that_was_given_to_another_process_is_told_apart() -> None:
    pid, started, since_boot = this_process().split("@")
    ticks, _, boot = since_boot.partition(".")
    assert not lives(f"{pid}@{started}@{int(ticks) - 1}.{boot}")
    assert not lives(f"{pid}@{started}@{ticks}.00000000")  # the same moment in another life of the machine
    assert not lives(f"1@{started}@{since_boot}")


def test_a_mark_of_before_goes_by_the_clock_and_an_ended_process_is_dead() -> None:
    assert lives(this_process().rsplit("@", 1)[0])
    code = "from varjepa.tasks.processes.owner import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert not lives(ended)
