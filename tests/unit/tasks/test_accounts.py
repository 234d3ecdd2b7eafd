"""Accounts in the URLs of servers: moved into variables, and sent by every client of ours."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from varjepa.tasks.processes.accounts import adopt_accounts
from varjepa.tasks.processes.health import require_answer
from varjepa.tasks.setup.doctor import examine

NAMES = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PREFECT_API_AUTH_STRING")


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A server that notes which account asked it."""
    accounts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            accounts.append(base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, accounts
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)


def test_a_url_with_an_account_is_asked_as_that_user(asked) -> None:
    port, accounts = asked
    require_answer(f"http://me:sesame-street@127.0.0.1:{port}/api", seconds=5)
    assert accounts == ["me:sesame-street"]


@pytest.mark.parametrize(("url", "bare", "values"), [
    ("http://me:pa%2Fss%40@host:5000/x", "http://host:5000/x", {NAMES[0]: "me", NAMES[1]: "pa/ss@"}),
    ("https://me:p/a#s?s@w@host", "https://host", {NAMES[0]: "me", NAMES[1]: "p/a#s?s@w"}),
    ("http://t0ken@host:5000", "http://host:5000", {NAMES[2]: "t0ken"}),
    ("http://host:5000", "http://host:5000", {}),
    ("postgresql://me:pass@host/db", "postgresql://me:pass@host/db", {}),  # its driver knows no other way
])  # fmt: skip
def test_the_account_of_the_tracking_server(url: str, bare: str, values: dict, monkeypatch) -> None:
    import os

    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    adopt_accounts()
    assert os.environ["MLFLOW_TRACKING_URI"] == bare
    assert {name: os.environ[name] for name in NAMES if name in os.environ} == values


def test_doctor_prints_no_password(asked, monkeypatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    port, _ = asked
    for url, ok in (
        (f"http://me:sesame-street@127.0.0.1:{port}/api", True),
        ("http://me:sesame-street@127.0.0.1:9", False),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with temporary_settings({PREFECT_API_URL: url}):
            (check,) = [check for check in examine() if check.name == "Prefect server"]
        assert check.ok is ok
        assert "sesame" not in str(check)


@pytest.mark.slow
def test_a_prefect_server_with_a_password(tmp_path, monkeypatch) -> None:
    import subprocess
    import sys

    from tests.store_servers import free_port
    from varjepa.tasks.processes.child import Child

    port = free_port()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", f"http://me:sesame%2Fstreet@127.0.0.1:{port}/api")
    start = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {"PREFECT_SERVER_API_AUTH_STRING": "me:sesame/street", "PREFECT_API_URL": None}
    with Child("Prefect", start, tmp_path / "log", environment=environment) as server:
        server.require_up(f"http://127.0.0.1:{port}/api")
        asks = "from prefect import get_client\nwith get_client(sync_client=True) as client: print(client.read_flows())"
        code = f"from varjepa.tasks.processes.accounts import adopt_accounts\nadopt_accounts()\n{asks}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "[]", done.stderr[-2000:]
