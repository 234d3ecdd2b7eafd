"""Waiting times apart from training: the start of the command line, and the overhead around a retrain."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, in_turns
from varjepa.data.read.sim_table import sim_table

REPEATS = 7
COLD = 3
"""Repeats of the commands that take seconds."""
ROWS = 1000
"""Rows of the file that is scored."""
ROOT = Path(__file__).parents[1]
LEARNING = ("pretrain", "generate", "probe", "calibrate", "assess")
"""Steps that train, probe or evaluate."""


def _call(*words: str, folder: Path = ROOT) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "varjepa.flows.cli", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def _retrain(folder: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """Wall seconds of the demo, and the seconds that it reports."""
    started = time.perf_counter()
    out = _call("retrain", str(ROOT / "configs" / "demo.yaml"), "--json", *words, folder=folder)
    return time.perf_counter() - started, json.loads(out.splitlines()[-1])


def _cold(folder: Path) -> list[Figure]:
    """Wall and CPU seconds of commands from cold in a folder with the demo's model.

    CPU seconds are there because others may use the machine.
    """
    sim_table(rows=ROWS, seed=5).drop("label", "ambiguity").write_csv(folder / "new.csv")
    commands = {
        f"score, {ROWS:,} rows": ("score", "models:/demo@champion", "new.csv", "out.csv", "--force"),
        "models": ("models",),
        "init": ("init", "new.csv"),
    }
    wanted = {f"score, {ROWS:,} rows": "under 4", "init": "under 2"}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for turn in range(COLD):
        for name, words in commands.items():
            place = folder
            if name == "init":  # it overwrites nothing
                place = folder / f"init{turn}"
                place.mkdir()
                (place / "new.csv").symlink_to(folder / "new.csv")
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            _call(*words, folder=place)
            wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds[name].append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    figures = []
    for name, times in seconds.items():
        wall, processor = (statistics.median(each) for each in zip(*times, strict=True))
        figures += [Figure(name, wall, "s", None, wanted.get(name, "")), Figure(f"{name}: CPU", processor, "CPU s")]
    return figures


def run() -> list[Figure]:
    """Times `--help`, other commands from cold, the demo, and the share of it that neither trains nor evaluates."""
    found = in_turns({"help": lambda: _call("--help")}, REPEATS)["help"]
    with tempfile.TemporaryDirectory() as name:
        _retrain(Path(name))
        seconds, summary = _retrain(Path(name), "--fresh")
        again, _ = _retrain(Path(name))
        cold = _cold(Path(name))
    learning = sum(summary["seconds"][step] for step in LEARNING)
    training = summary["seconds"]["pretrain"] + summary["seconds"]["generate"] + summary["seconds"]["probe"]
    return [
        Figure("varjepa --help", found.median, "s", found.noise, "under 0.5"),
        *cold,
        Figure("demo, warm environment", seconds, "s"),
        Figure("demo, everything reused", again, "s"),
        Figure(
            "demo: outside pretrain, generate, probe, calibrate, assess",
            1 - learning / seconds,
            "share",
            None,
            "under 0.25",
        ),
        Figure("demo: outside pretrain, generate, probe", 1 - training / seconds, "share"),
    ]
