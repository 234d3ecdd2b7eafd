"""Runs benchmarks: `python -m benchmarks [NAME...] [--out FOLDER]`. Without names it runs all of them."""

import argparse
import os
from importlib import import_module
from pathlib import Path

from benchmarks.harness import RESULTS, publish
from varjepa.flows.cli import QUIET

NAMES = (
    "training",
    "wide",
    "processes",
    "scoring",
    "preprocessing",
    "partitions",
    "validation",
    "commands",
    "shards",
    "scaling",
    "stores",
    "vectors",
)

SPIN = "GOMP_SPINCOUNT"
"""Environment variable: how long waiting threads spin. It is read when torch is imported."""


def main() -> None:
    """Parses the arguments and runs the named benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    words = parser.parse_args()
    unknown = [name for name in words.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown: {unknown[0]}; choose from {', '.join(NAMES)}")
    os.environ.setdefault(SPIN, QUIET[SPIN])  # as in the command line
    for name in words.names or NAMES:
        publish(name, import_module(f"benchmarks.{name}").run(), words.out)


if __name__ == "__main__":
    main()
