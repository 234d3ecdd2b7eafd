"""Processes of the command line that share one import of everything: each is forked from one that has imported it.

To start one as a person does takes seconds of imports, of which a test that is about something else learns nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path

CODE = Path(__file__).parents[1]
IMPORTED = ("varjepa.flows.retrain", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
            "mlflow.store.model_registry.sqlalchemy_store", "great_expectations", "matplotlib.backends.backend_agg",
            "sklearn.ensemble", "sklearn.linear_model")  # fmt: skip
"""What a retrain imports, unless another one has done so before."""


@dataclass(frozen=True)
class Start:
    """One process of the command line.

    Attributes:
        words: after `varjepa`.
        folder: it runs in, and keeps what it says in.
        environment: variables beside those of the process that it is forked from.
    """

    words: Sequence[str]
    folder: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """What a process said."""

    code: int
    out: str
    err: str


@contextmanager
def forks(environment: Mapping[str, str]) -> Iterator["Forks"]:
    """A process that has imported everything, to fork others from.

    Args:
        environment: of all of them. What Prefect reads of it is settled by then; the rest, each may have its own of.
    """
    variables = {**environment, "PYTHONPATH": str(CODE), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.forked"], cwd=CODE, env=variables, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield Forks(process)
        process.stdin.close()  # type: ignore[union-attr]  # a pipe


class Forks:
    """Starts processes that are forked from another one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def call(self, folder: Path, *words: str) -> Said:
        """Runs one process."""
        (said,) = self.at_once([Start(words, str(folder))])
        return said

    def at_once(self, starts: Sequence[Start]) -> list[Said]:
        """Starts processes at the same moment and waits for all of them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(start) for start in starts]) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        places = [Path(start.folder) for start in starts]
        return [
            Said(code, *((place / f"{number}.{name}").read_text(encoding="utf-8") for name in ("out", "err")))
            for number, (code, place) in enumerate(zip(codes, places, strict=True))
        ]


def _serve() -> None:
    """Forks processes as the lines of the input say, and prints their exit codes; a child returns."""
    from varjepa.flows.cli import QUIET
    from varjepa.tasks.steps.imports import quick_imports

    os.environ.update({**QUIET, **os.environ})  # as every command does before it imports what heeds them
    with quick_imports():
        for name in IMPORTED:
            import_module(name)
    _require_alone()
    for line in sys.stdin:
        children = []
        for number, start in enumerate(json.loads(line)):
            child = os.fork()
            if child == 0:
                _become(number, Start(**start))
                return
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps(codes) + "\n")
        sys.stdout.flush()
    sys.exit()


def _require_alone() -> None:
    """No thread but this one computes anything: its copies would wait for ever for what another one has begun."""
    names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert names - {"python"} <= {"jemalloc_bg_thd", "polars-ooc-clea"}, names  # of allocators; and one that tidies up


def _become(number: int, start: Start) -> None:
    """Makes this process the one that is to be started."""
    os.environ.update(start.environment)
    os.chdir(start.folder)
    tempfile.tempdir = None  # of this environment
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    for descriptor, name in ((1, "out"), (2, "err")):
        with Path(f"{number}.{name}").open("w") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = ["varjepa", *start.words]


if __name__ == "__main__":
    _serve()
    from varjepa.flows.cli import main

    main()
