"""Shared by all benchmarks: timing in turns, memory of a child process, facts about the machine, tables and JSON."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "polars", "duckdb", "great-expectations", "mlflow", "prefect", "scikit-learn", "numpy")
MODULES = {"great-expectations": "great_expectations", "scikit-learn": "sklearn"}
"""Modules of packages whose names differ."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        what: in words.
        value: the number.
        unit: of the value; a ratio is "x".
        noise: half the range between the quartiles of repeated measurements, over their median; None where measured
            once.
        asked: what it should be, in words.
    """

    what: str
    value: float
    unit: str
    noise: float | None = None
    asked: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated calls."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return statistics.median(self.seconds)

    @property
    def noise(self) -> float:
        """Half the range between the quartiles, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        first, _, third = statistics.quantiles(self.seconds, n=4)
        return (third - first) / 2 / self.median


@dataclass(frozen=True)
class GivenTable:
    """A table on the command line: its name, or NAME=PATH.

    Attributes:
        name: of a kind of table that the benchmark knows.
        path: of its file; None for a table that is made.
    """

    name: str
    path: Path | None

    @classmethod
    def parsed(cls, word: str) -> "GivenTable":
        """Reads a word of the command line; the path holds in any working folder."""
        name, _, path = word.partition("=")
        return cls(name, Path(path).resolve() if path else None)

    def __str__(self) -> str:
        """As in a command that repeats the benchmark, without the folder."""
        return f"{self.name}={self.path.name}" if self.path else self.name


def in_turns(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Timing]:
    """Times several calls in turns, so that a slower machine slows all of them. The first turn is a warm-up."""
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(found)) for name, found in seconds.items()}


def child(*arguments: str, env: dict[str, str] | None = None) -> tuple[float, str]:
    """Runs Python with these arguments in a separate process: (peak resident GiB, stdout).

    Raises:
        RuntimeError: it failed.
    """
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE, text=True)\n"
        "print(done.stdout, end='')\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ | (env or {}),
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}")
    *out, peak = done.stdout.splitlines()
    return int(peak) / 2**20, "\n".join(out)


def facts() -> dict[str, Any]:
    """Commit, machine and versions."""
    return {
        "commit": COMMIT,
        "date": date.today().isoformat(),  # noqa: DTZ011 (a day is enough)
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES if find_spec(MODULES.get(name, name))},
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=RESULTS, capture_output=True, text=True, check=False).stdout.strip()


COMMIT = _commit()
"""Of the code that is measured: asked before results and figures are written, which would mark it as changed."""


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def line(figure: Figure, width: int) -> str:
    """A figure as a line of text, its name padded to a width."""
    noise = f"+-{figure.noise:.0%}" if figure.noise is not None else ""
    asked = f"   asked: {figure.asked}" if figure.asked else ""
    return f"{figure.what:{width}}  {figure.value:>12,.4g} {figure.unit:8} {noise:6}{asked}"


def publish(name: str, figures: Sequence[Figure], folder: Path, *, command: str | None = None) -> None:
    """Prints a table and writes `folder/NAME.json`. `command` repeats it, if `python -m benchmarks` does not."""
    width = max(len(figure.what) for figure in figures)
    print(f"\n{name}")
    for figure in figures:
        print(f"  {line(figure, width)}")
    folder.mkdir(parents=True, exist_ok=True)
    made = command or f"python -m benchmarks {name}"
    content = facts() | {"command": made, "figures": [asdict(figure) for figure in figures]}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
