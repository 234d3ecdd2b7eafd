"""Prefect's pages in a real browser, served by a server of ours on any port but Prefect's own."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.store_servers import free_port

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("path", ["/dashboard", "/v2/dashboard"])
def test_the_pages_find_their_api(browser: Any, prefect_pages: str, path: str) -> None:
    context = browser.new_context()
    page, answers = context.new_page(), []
    page.set_default_timeout(60_000)
    page.on("response", lambda answer: answers.append((urlsplit(answer.url), answer.status)))
    page.goto(prefect_pages + path)
    page.get_by_text("Run a task or flow to get started").wait_for()  # said of a server that answered: it has no runs
    context.close()
    assert {url.netloc for url, _ in answers if url.scheme.startswith("http")} == {urlsplit(prefect_pages).netloc}
    assert 200 in {status for url, status in answers if url.path.startswith("/api/")}


@pytest.fixture(scope="module")
def prefect_pages(prefect_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Address of a server without runs, with the environment of one that listens on all addresses of its host.

    Only a browser shows that its pages find an API whose address has no host. That of a server on one address has one,
    and `flows/test_schedule` asks a server for it.
    """
    from varjepa.tasks.processes.child import HOST, Child
    from varjepa.tasks.servers.prefect import ui_environment

    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    (home / "prefect.db").write_bytes(prefect_database.read_bytes())
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    environment = {**ui_environment("0.0.0.0", port), "PREFECT_HOME": str(home), "PREFECT_API_URL": None}
    with Child("Prefect", command, home / "server.log", environment=environment, quick=True) as server:
        server.require_up(f"http://{HOST}:{port}/api")
        yield f"http://{HOST}:{port}"
