"""Waiting times apart from training: the start of the command line, and the overhead around a retrain."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, in_turns

REPEATS = 7
ROOT = Path(__file__).parents[1]
LEARNING = ("pretrain", "generate", "probe", "calibrate", "assess")
"""Steps that train, probe or evaluate."""


def _call(*words: str, folder: Path = ROOT) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "flows.cli", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def _retrain(folder: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """Wall seconds of the demo, and the seconds that it reports."""
    started = time.perf_counter()
    out = _call("retrain", str(ROOT / "configs" / "demo.yaml"), "--json", *words, folder=folder)
    return time.perf_counter() - started, json.loads(out.splitlines()[-1])


def run() -> list[Figure]:
    """Times `--help`, the demo in a warm environment, and the share of it that neither trains nor evaluates."""
    found = in_turns({"help": lambda: _call("--help")}, REPEATS)["help"]
    with tempfile.TemporaryDirectory() as name:
        _retrain(Path(name))
        seconds, summary = _retrain(Path(name), "--fresh")
        again, _ = _retrain(Path(name))
    learning = sum(summary["seconds"][step] for step in LEARNING)
    training = summary["seconds"]["pretrain"] + summary["seconds"]["generate"] + summary["seconds"]["probe"]
    return [
        Figure("varjepa --help", found.median, "s", found.noise, "under 0.5"),
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
