"""Server processes on this machine that end with the current process and write their output to a file."""

import os
import pwd
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from varjepa.errors import SetupError
from varjepa.tasks.processes.bound import start_bound
from varjepa.tasks.processes.health import require_answer

HOST = "127.0.0.1"
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""Otherwise the C library gives each thread of a server a heap of its own, with gaps that other threads cannot use, and
the memory of a server that stays up grows for days. Python's threads take turns anyway."""

STARTUP_SECONDS = 120
END_SECONDS = 20


class Child:
    """A process in its own session, with its output in a file. It ends with the `with` block, or with this process.

    In its own session it does not receive Ctrl-C. So we can stop several servers in the right order.

    Args:
        name: for messages.
        command: program and arguments.
        log: output file, overwritten.
        environment: additional variables; None removes a variable. See also `ONE_HEAP`.
        owner: user to run as; None means the current user.
        quick: stop it by SIGINT instead of SIGTERM (PostgreSQL waits for its clients after SIGTERM).
    """

    def __init__(
        self, name: str, command: list[str], log: Path, *, environment: dict[str, str | None] | None = None,
        owner: str | None = None, quick: bool = False,
    ) -> None:  # fmt: skip
        self.name, self.command, self.log = name, command, log
        changed = ONE_HEAP | os.environ | (environment or {})
        self.environment = {key: value for key, value in changed.items() if value is not None}
        self.owner, self.signal = owner, signal.SIGINT if quick else signal.SIGTERM

    def __enter__(self) -> Self:
        with self.log.open("wb") as out:
            self.process = start_bound(
                self.command, ends_with=self.signal, env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, **as_user(self.owner),
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.runs:
            self.process.send_signal(self.signal)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # workers that the server has not stopped
        self.process.wait()

    @property
    def runs(self) -> bool:
        """Whether the process is still running."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last three lines of its log, as one line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " ".join(" ".join(lines[-3:]).split())[-500:]

    def require_up(self, url: str) -> None:
        """Waits until the server answers at `url`.

        Raises:
            SetupError: the process ended, or did not answer in time.
        """
        deadline = time.monotonic() + STARTUP_SECONDS
        while time.monotonic() < deadline and self.runs:
            try:
                require_answer(url, seconds=5)
            except OSError:
                time.sleep(0.3)
            else:
                return
        how = (
            f"has not answered within {STARTUP_SECONDS:.0f} s" if self.runs else f"ended with {self.process.returncode}"
        )
        words = self.last_words() or "it has written nothing"
        raise SetupError(f"The {self.name} server does not start, it {how}: {words}.", fix=f"Its log is {self.log}.")


def as_user(owner: str | None) -> dict[str, Any]:
    """Arguments of `subprocess` that run a program as another user; empty for None."""
    if owner is None:
        return {}
    return {"user": owner, "group": pwd.getpwnam(owner).pw_gid, "extra_groups": [], "cwd": "/"}


def require_free(option: str, port: int) -> None:
    """Checks that a port of this machine is not in use.

    Raises:
        SetupError: it is in use; the message suggests the next free port.
    """
    if not _taken(port):
        return
    free = next((other for other in range(port + 1, 2**16) if not _taken(other)), None)
    raise SetupError(f"Port {port} is in use.", fix=f"Try {option} {free}." if free else "Free a port.")


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
