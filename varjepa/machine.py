"""What this process may use of its machine: cores and memory, also inside a container."""

import math
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]  # so that it can be asked for

CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

MEMORY_OF_MACHINE, MEMORY_OF_PROCESS = Path("/proc/meminfo"), Path("/proc/self/statm")

SLEEPING = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "OPENBLAS_THREAD_TIMEOUT": "10",
}
"""Settings of OpenMP and OpenBLAS: a thread that waits for another one sleeps. Beside busy processes, spinning threads
take many times the processor time of the work itself."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")

GIB = 2**30


def set_up_threads() -> None:
    """Chooses threads that sleep while they wait, and as many as this process may use. Variables that are set stay.

    Libraries read the variables when they are loaded, so this comes before them.
    """
    for name, value in SLEEPING.items():
        os.environ.setdefault(name, value)
    if cores() < _affinity():  # of which libraries know by themselves
        for name in THREADS:
            os.environ.setdefault(name, str(cores()))


def cores(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Number of cores that this process may use: of its affinity, and of the quota of its control group.

    Args:
        groups: where control groups are mounted.
        own: file that names the groups of this process.

    Examples:
        >>> 1 <= cores() <= os.cpu_count()
        True
    """
    quotas = [*_quotas(groups, own)]
    return max(1, min(_affinity(), *(math.ceil(quota) for quota in quotas))) if quotas else _affinity()


def memory_left(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int | None:
    """Bytes that this process may still allocate: of the machine, of its control group and of its address space.

    Args:
        groups: where control groups are mounted.
        own: file that names the groups of this process.

    Returns:
        The smallest limit, at least 0; None if the system does not tell.
    """
    left = [*_left_in_groups(groups, own), *_left_on_machine(), *_left_in_address_space()]
    return max(0, min(left)) if left else None


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """Cores of every limited group that this process belongs to."""
    for folder in _folders(groups, own, "cpu"):
        match _words(folder / "cpu.max"):
            case [most, of] if most != "max":
                yield int(most) / int(of)
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and quota > 0 and period:
            yield quota / period


def _left_in_groups(groups: Path, own: Path) -> Iterator[int]:
    for folder in _folders(groups, own, "memory"):
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                # The cache of files is given back where memory is short.
                yield most - used + _facts(folder / "memory.stat").get("inactive_file", 0)


def _folders(groups: Path, own: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups of a controller that this process belongs to, outermost last (versions 1 and 2)."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = groups / controller if names else groups
        inside = Path(path.lstrip("/"))
        yield from dict.fromkeys(root / part for part in (inside, *inside.parents))


def _left_on_machine() -> Iterator[int]:
    if (available := _facts(MEMORY_OF_MACHINE).get("MemAvailable")) is not None:
        yield available * 2**10


def _left_in_address_space() -> Iterator[int]:
    if resource is None:
        return
    limit, pages = resource.getrlimit(resource.RLIMIT_AS)[0], _words(MEMORY_OF_PROCESS)
    if limit != resource.RLIM_INFINITY and pages:
        yield limit - int(pages[0]) * resource.getpagesize()


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def _number(file: Path) -> int | None:
    """The number in a file; None if there is none, as in `max`."""
    words = _words(file)
    return int(words[0]) if words and words[0].lstrip("-").isdecimal() else None


def _facts(file: Path) -> dict[str, int]:
    """Numbers by name, one a line."""
    words = _words(file)
    pairs = pairwise(words)
    return {name.rstrip(":"): int(value) for name, value in pairs if value.isdecimal()}
