"""Prefect's temporary server: in a session of its own, started again if it dies, and never a reason to stop a job."""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Any

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from varjepa.errors import SetupError
from varjepa.tasks.orchestration import server_app
from varjepa.tasks.processes.bound import start_bound
from varjepa.tasks.processes.child import HOST
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.processes.ports import free_port
from varjepa.tasks.steps.log import log

STARTS = 4
"""The server is started at most this often: the first time, and after each death."""

END_SECONDS = 5
WORD_SECONDS = 10
"""Seconds between two words to a waiting user."""

ALONE = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
"""Environment of a temporary server, as Prefect itself sets it."""

WITHOUT_BLOCKS = {
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "0",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",
}
"""Blocks serve pages and deployments; to register their kinds, it would import every integration that is installed."""


class TemporaryServer:
    """The server that Prefect would start itself, with a life of its own.

    Ctrl-C does not reach it, so a flow can record its end. It ends with this process, even if that is killed. If it
    dies, another one takes over its port and its database, and Prefect's client goes on after a retry. Prefect's own
    class for it would import the whole server into this process, too, which takes a second.
    """

    def __init__(self) -> None:
        self.port, self.running = 0, False
        self._up, self._over, self._stopping, self._one_begins = Event(), Event(), Event(), Lock()
        self._process: subprocess.Popen[Any] | None = None
        self._output: IO[bytes] | None = None

    @property
    def api_url(self) -> str:
        """The URL of its API, once it has started."""
        return f"http://{HOST}:{self.port}/api"

    def start(self, timeout: int | None = None) -> None:
        """Starts the server, or waits until it answers.

        Args:
            timeout: seconds to wait; None means Prefect's setting.

        Raises:
            SetupError: it ended several times, or does not answer in time.
        """
        self.begin()
        self._wait(timeout or get_current_settings().server.ephemeral.startup_timeout_seconds)

    def begin(self) -> None:
        """Starts the server without waiting for it."""
        with self._one_begins:
            if self.running:
                return
            self.running = True
            for event in (self._up, self._over, self._stopping):
                event.clear()
            # The server is bound to the thread that starts it, so this one lives as long as the server.
            # It goes by the settings of whoever begins: a new thread would only know those of the process.
            Thread(target=copy_context().run, args=(self._keep_up,), name="prefect server", daemon=True).start()
            atexit.register(self.stop)

    def stop(self) -> None:
        """Stops the server."""
        self._stopping.set()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running = False
        temporary_server.cache_clear()  # the thread of this one may still see its process end

    def _wait(self, seconds: float) -> None:
        began, told = time.monotonic(), 0.0
        if not self._up.is_set():
            log.info("starting Prefect (up to %.0f s)", seconds)
        while not self._up.wait(0.05):
            waited = time.monotonic() - began
            if self._over.is_set() or waited > seconds:
                self.stop()
                how = "ended" if self._over.is_set() else f"has not started within {seconds:.0f} seconds"
                raise SetupError(f"Prefect's temporary server {how}: {self._last_words()}.")
            if waited - told > WORD_SECONDS:
                told = waited
                log.info("starting Prefect: %.0f of at most %.0f s", waited, seconds)

    def _keep_up(self) -> None:
        for number in range(STARTS):
            if number == 0 or not self._up.is_set():
                self.port = free_port(HOST)  # another process may have taken the last one meanwhile
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
            process = self._process = self._launched(self._output)
            self._look(process)
            process.wait()
            if self._stopping.is_set():
                return
            log.warning("Prefect's temporary server ended with %d; starting it again", process.returncode)
        self._over.set()

    def _launched(self, output: IO[bytes]) -> "subprocess.Popen[Any]":
        app = ["--app-dir", str(Path(__file__).parents[3]), "--factory", f"{server_app.__name__}:new_app"]
        place = ["--host", HOST, "--port", str(self.port)]
        options = ["--log-level", "error", "--lifespan", "on"]
        variables = get_current_settings().to_environment_variables(exclude_unset=True)
        return start_bound(
            [sys.executable, "-m", "uvicorn", *app, *place, *options], ends_with=signal.SIGKILL,
            env={**os.environ, **ALONE, **WITHOUT_BLOCKS, **variables}, stdin=subprocess.DEVNULL, stdout=output,
            stderr=output,
        )  # fmt: skip

    def _look(self, process: "subprocess.Popen[Any]") -> None:
        """Waits until the server answers or has ended."""
        while process.poll() is None and not self._stopping.is_set():
            try:
                require_answer(self.api_url, seconds=5)
            except OSError:
                time.sleep(0.1)
            else:
                self._up.set()
                return

    def _last_words(self) -> str:
        if self._output is None:
            return "no output"
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return " ".join(lines[-1].split())[-300:] if lines else "no output"


@cache
def temporary_server() -> TemporaryServer:
    """The temporary server of this process, which has one at most; a new one once it was stopped."""
    return TemporaryServer()


@contextmanager
def any_server() -> Iterator[None]:
    """Around clients of Prefect: the temporary server is theirs, unless another one is configured.

    It is the one that `PREFECT_API_URL` names in the block, also for processes that a runner starts: each of them would
    start its own, which takes seconds.

    Raises:
        SetupError: it does not start.
    """
    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        yield
        return
    server = temporary_server()
    server.start()
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield
