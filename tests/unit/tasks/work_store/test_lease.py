"""Of all machines, one works at a time; a dead one is succeeded, and notices it if it was not dead."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.place import Item, Place

pytestmark = pytest.mark.slow  # servers start

HOLDER = """
import sys, time
from varjepa.tasks.work_store.lease import Lease
from varjepa.tasks.work_store.outage import Outage
from varjepa.tasks.work_store.place import Place
lease = Lease(Place(sys.argv[1]), "model", 1.0, Outage("the store"))
assert lease.take()
print("taken", flush=True)
while not lease.lost:
    time.sleep(0.02)
print("lost", flush=True)
"""


def lease(place: Place, lost_after: float = 60.0) -> Lease:
    return Lease(place, "model", lost_after, Outage("the store"))


def test_exactly_one_takes_it_and_the_next_once_it_is_released(uri: str) -> None:
    place = Place(uri)
    many = [lease(place) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(Lease.take, many)) == 1
    (holder,) = (one for one in many if one.generation)
    late = lease(place)
    assert not late.take()
    assert late.holder == os.uname().nodename
    holder.release()
    assert late.take()
    assert late.generation == holder.generation + 1
    late.forget()
    assert place.items() == []


def test_a_silent_holder_is_succeeded_and_notices_it(uri: str) -> None:
    """Stopped, not killed: a machine that was suspended comes back and must not go on."""
    words = [sys.executable, "-c", HOLDER, uri]
    root = str(Path(__file__).parents[4])
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root})
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        heir, began = lease(Place(uri)), time.monotonic()
        while time.monotonic() - began < 2.5:  # the holder renews it
            assert not heir.take()
            time.sleep(0.1)
        holder.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        while not heir.take():
            assert time.monotonic() - stopped < 30
            time.sleep(0.05)
        assert time.monotonic() - stopped > 0.7  # a second after its last renewal
        holder.send_signal(signal.SIGCONT)
        assert holder.stdout.readline() == "lost\n"
        assert not heir.lost
        heir.release()
    finally:
        holder.kill()
        holder.communicate()


def test_a_killed_process_of_this_machine_is_succeeded_at_once(tmp_path: Path) -> None:
    uri, root = f"file://{tmp_path}", str(Path(__file__).parents[4])
    words = [sys.executable, "-c", HOLDER.replace("1.0", "1000.0"), uri]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root})
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    heir = lease(Place(uri), 1000.0)
    assert not heir.take()
    holder.kill()
    holder.communicate()
    assert heir.take()
    heir.forget()


def test_who_has_looked_long_ago_backs_off(tmp_path: Path) -> None:
    """It believes that the holder of number 1 is dead, whose successors have come and gone meanwhile."""
    place = Place(f"file://{tmp_path}")
    first = lease(place)
    assert first.take()
    first.release()
    before = place.items()

    class LooksTooEarly(Place):
        def items(self, folder: str = "") -> list[Item]:
            return before.copy() if not looked.append(1) and len(looked) == 1 else super().items(folder)

        def read(self, key: str) -> bytes | None:
            return b'{"released": true}'

    looked: list[int] = []
    for _ in range(3):
        heir = lease(place)
        assert heir.take()
        heir.release()
    assert not lease(LooksTooEarly(f"file://{tmp_path}")).take()
    assert [item.key for item in place.items()] == ["leases/model/000000004"]


def test_who_is_done_leaves_the_lease_of_a_successor_alone(tmp_path: Path) -> None:
    """A machine that slept too long has finished its work, and does not know yet that another one has begun it."""
    place = Place(f"file://{tmp_path}")
    first, heir = lease(place), lease(place)
    assert first.take()
    first.release()
    assert heir.take()
    first.forget()
    assert heir.held()
    heir.forget()
    assert place.items() == []
