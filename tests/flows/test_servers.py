"""`varjepa servers`: one command that starts what a team shares, and leaves nothing behind but its data."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import caller, person_table, write_job
from tests.store_servers import free_port

CODE = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "varjepa.flows.cli"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that an unprivileged user may enter, too."""
    from varjepa.tasks.servers.postgres import program

    if program("initdb") is None or program("postgres") is None:
        pytest.skip("there is no PostgreSQL on this machine")
    made = Path(tempfile.mkdtemp(prefix="varjepa-servers-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def started(folder: Path) -> Callable[..., object]:
    """Starts the servers in `folder`; yields what to put into the environment, and ends them with SIGTERM."""
    names = ("--port", "--prefect-port", "--database-port")
    ports = [word for name in names for word in (name, str(free_port()))]
    environment = os.environ | {"PYTHONPATH": str(CODE)}

    @contextmanager
    def start() -> Iterator[dict[str, str]]:
        command = [*PROGRAM, "servers", "--folder", str(folder / "team"), *ports]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        try:
            lines = [server.stdout.readline() for _ in range(2)]
            assert all(line.startswith("export ") for line in lines), server.stderr.read()
            yield dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        finally:
            server.terminate()
            assert server.wait(60) == 0, server.stderr.read()
        for port in ports[1::2]:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", int(port))) != 0, f"somebody still listens on {port}"

    return start


def test_servers_keep_what_a_team_registers(
    started, folder: Path, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from prefect.settings import PREFECT_API_URL, temporary_settings

    small = {"generator": {"n_layers": 0}, "probe": {"head": "linear"}}
    job = write_job(tmp_path, person_table(120), data={"label": "rich"}, **small)
    varjepa = caller(tmp_path, migrated, monkeypatch)
    with started() as exports, temporary_settings({PREFECT_API_URL: exports["PREFECT_API_URL"]}):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", exports["MLFLOW_TRACKING_URI"])
        done = varjepa("retrain", job)
        assert done.code == 0, done.err
        assert exports["MLFLOW_TRACKING_URI"] in done.err.replace("\n", "")
        flow_runs = httpx.post(f"{exports['PREFECT_API_URL']}/flow_runs/filter", json={}).json()
        assert [run["state_name"] for run in flow_runs] == ["Completed"]
    assert (tmp_path / "mlruns" / "mlflow.db").read_bytes() == migrated.read_bytes()  # nobody has written to it
    assert list((folder / "team" / "artifacts").rglob("model_card.html"))
    assert (folder / "team" / "password").stat().st_mode & 0o077 == 0
    password = (folder / "team" / "password").read_text()
    assert all(password not in log.read_text(errors="replace") for log in (folder / "team").glob("*.log"))
    with started() as exports:
        pages = exports["PREFECT_API_URL"].removesuffix("/api")
        assert httpx.get(f"{pages}/ui-settings").json()["api_url"] == exports["PREFECT_API_URL"]
        (version,) = MlflowClient(exports["MLFLOW_TRACKING_URI"]).search_model_versions("name = 'people'")
        assert version.version == "1"


def test_what_cannot_be_started_is_said(varjepa, folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = varjepa("servers", "--folder", folder, "--port", port)
    assert answer.code == 2
    assert f"Port {port} is in use. Try --port " in answer.err
    ports = ["--port", free_port(), "--prefect-port", free_port()]
    answer = varjepa("servers", "--folder", folder, *ports, "--database", "postgresql://me:secret@127.0.0.1")
    assert answer.code == 2
    assert "PGPASSWORD" in answer.err
    assert "secret" not in answer.err
    nobody = f"postgresql://me@127.0.0.1:{free_port()}"
    answer = varjepa("servers", "--folder", folder, *ports, "--database", nobody)
    assert answer.code == 2
    assert nobody in answer.err
