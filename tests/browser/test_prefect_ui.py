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
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both servers, one after the other: the second finds its tables made."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="module", params=["127.0.0.1", "0.0.0.0"])
def prefect_pages(request: pytest.FixtureRequest, home: Path) -> Any:
    """Address of a server without runs, with the environment of one that listens on this host."""
    from varjepa.tasks.processes.child import HOST, Child
    from varjepa.tasks.servers.prefect import ui_environment

    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
    environment = {**ui_environment(request.param, port), "PREFECT_HOME": str(home), "PREFECT_API_URL": None}
    with Child("Prefect", command, home / "server.log", environment=environment, quick=True) as server:
        server.require_up(f"http://{HOST}:{port}/api")
        yield f"http://{HOST}:{port}"
