"""A real receiver of OpenLineage's events on 127.0.0.1."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from varjepa.tasks.lineage import send


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def without_settings() -> None:
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            monkeypatch.delenv(name)
        send.sender.cache_clear()

    without_settings()
    yield
    without_settings()  # the client writes variables of its own


@contextmanager
def receiver(status: int = 201) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a receiver of OpenLineage's events, and those that have arrived."""
    events: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/v1/lineage"
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", events
    finally:
        server.shutdown()
        server.server_close()


def require_valid(event: dict[str, Any]) -> None:
    """Checks what the specification requires of a run's event, facet by facet."""
    assert {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"} <= event.keys()
    UUID(event["run"]["runId"])
    assert event["job"].keys() >= {"namespace", "name"}
    tables = [*event["inputs"], *event["outputs"]]
    for holder in (event["run"], event["job"], *tables):
        for kind in ("facets", "inputFacets", "outputFacets"):
            for name, facet in holder.get(kind, {}).items():
                assert facet["_producer"].startswith("pkg:pypi/varjepa@"), name
                assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/"), name
    assert all(table.keys() >= {"namespace", "name"} for table in tables)
