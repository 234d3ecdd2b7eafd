"""Processes of the command line that share one import of everything: each is forked from one that has imported it.

To start one as a person does takes seconds of imports, of which a test that is about something else learns nothing.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

HOST_NAME, NETWORK = 0x04000000, 0x40000000
"""Linux's numbers of these namespaces."""

CODE = Path(__file__).parents[1]
IMPORTED = ("varjepa.flows.retrain", "varjepa.flows.show.results", "varjepa.tasks.contract.engine",
            "varjepa.tasks.contract.expectations", "varjepa.tasks.sources.delta", "varjepa.tasks.sources.open_table",
            "varjepa.data.files.column_names", "varjepa.data.fit.preprocessor_fit", "varjepa.evaluation.gate.verdict",
            "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
            "mlflow.tracing.processor.base_mlflow", "matplotlib.backends.backend_agg", "sklearn.ensemble",
            "sklearn.linear_model", "xgboost", "IPython", "git", "duckdb_engine", "pyarrow.pandas_compat")  # fmt: skip
"""What a retrain imports, unless another one has done so before."""


@dataclass(frozen=True)
class Start:
    """One process of the command line.

    Attributes:
        words: after `varjepa`.
        folder: it runs in, and keeps what it says in.
        environment: variables beside those of the process that it is forked from.
        leads: a group of processes of its own, as one that a shell starts does.
        host: name of the host that it finds itself on; None leaves this one's.
        space: network namespace that it runs in; None leaves this one.
    """

    words: Sequence[str]
    folder: str
    environment: dict[str, str] = field(default_factory=dict)
    leads: bool = False
    host: str | None = None
    space: str | None = None


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
        environment: of all of them, unless they have something of their own.
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
        self._process, self._number = process, 0

    def call(self, folder: Path, *words: str) -> Said:
        """Runs one process."""
        return self.start(Start(words, str(folder))).said()

    def start(self, start: Start) -> "Running":
        """Starts one process, and does not wait for it: see `Running`."""
        (running,) = self._started([start])
        return running

    def at_once(self, starts: Sequence[Start]) -> list[Said]:
        """Starts processes at the same moment and waits for all of them."""
        return [running.said() for running in self._started(starts)]

    def _started(self, starts: Sequence[Start]) -> "list[Running]":
        places = [Path(start.folder) / f"process{self._number + number}" for number, start in enumerate(starts)]
        self._number += len(starts)
        asked = [asdict(start) | {"says": str(place)} for start, place in zip(starts, places, strict=True)]
        return [Running(self, pid, place) for pid, place in zip(self.ask(start=asked), places, strict=True)]

    def ask(self, **what: object) -> Any:
        """Asks that process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Running:
    """A process on its way, as of `subprocess.Popen`."""

    def __init__(self, forks: Forks, pid: int, place: Path) -> None:
        self.pid, self._forks, self._place = pid, forks, place
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None."""
        if self._code is None:
            self._code = self._forks.ask(poll=self.pid)
        return self._code

    def wait(self, timeout: float = 300.0) -> int:
        """Waits for the end of the process; its exit code, or minus the number of the signal that killed it."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"{self._place} has not ended"
            time.sleep(0.02)
        return code

    def so_far(self) -> str:
        """The lines that it has written to stderr by now."""
        file = self._place.with_suffix(".err")
        text = file.read_text(encoding="utf-8") if file.exists() else ""  # it opens the file once it runs
        return text[: text.rfind("\n") + 1]

    def send(self, number: signal.Signals) -> None:
        """Sends the process a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def said(self, timeout: float = 300.0) -> Said:
        """Waits for the end of the process; what it has said."""
        code = self.wait(timeout)
        return Said(code, *(self._place.with_suffix(f".{name}").read_text(encoding="utf-8") for name in ("out", "err")))


def _serve() -> None:
    """Forks processes as the lines of the input say, and prints their ids and exit codes; a child returns."""
    from varjepa.flows.cli import QUIET, _log_to_stderr
    from varjepa.tasks.steps.imports import quick_imports

    os.environ.update({**QUIET, **os.environ})  # as every command does before it imports what heeds them
    _log_to_stderr()  # otherwise Prefect's handlers are there first, and ours is none of them
    with quick_imports():
        for name in IMPORTED:
            import_module(name)
    _require_alone()
    for line in sys.stdin:
        answer: object = None
        ((word, what),) = json.loads(line).items()
        if word == "start":
            answer = []
            for start in what:
                child = os.fork()
                if child == 0:
                    _become(Path(start.pop("says")), Start(**start))
                    return
                answer.append(child)
        else:
            pid, status = os.waitpid(what, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    sys.exit()


def _require_alone() -> None:
    """No thread but this one computes anything: its copies would wait for ever for what another one has begun."""
    names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert names - {"python"} <= {"jemalloc_bg_thd", "polars-ooc-clea"}, names  # of allocators; and one that tidies up


def _become(says: Path, start: Start) -> None:
    """Makes this process the one that is to be started."""
    from prefect.context import refresh_global_settings_context

    if start.leads:
        os.setsid()
    _move(start)
    os.environ.update(start.environment)
    refresh_global_settings_context()  # Prefect has read the environment of the process that this is a copy of
    os.chdir(start.folder)
    tempfile.tempdir = None  # of this environment
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    for descriptor, name in ((1, "out"), (2, "err")):
        with says.with_suffix(f".{name}").open("w") as file:
            os.dup2(file.fileno(), descriptor)
    sys.argv = ["varjepa", *start.words]


def _move(start: Start) -> None:
    """Into a network namespace and under a host name of its own."""
    system = ctypes.CDLL(None, use_errno=True)
    if start.space is not None:
        with Path("/run/netns", start.space).open() as space:
            assert system.setns(space.fileno(), NETWORK) == 0, os.strerror(ctypes.get_errno())
    if start.host is not None:
        assert system.unshare(HOST_NAME) == 0, os.strerror(ctypes.get_errno())
        socket.sethostname(start.host)


if __name__ == "__main__":
    _serve()
    from varjepa.flows.cli import main

    main()
