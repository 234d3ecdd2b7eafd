"""A real receiver of OpenLineage's events on 127.0.0.1."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jsonschema
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


TEXT = {"type": "string"}
FACET = {
    "type": "object", "required": ["_producer", "_schemaURL"],
    "properties": {"_producer": {"pattern": "^pkg:pypi/varjepa@"}, "_schemaURL": {"pattern": "^https://openlineage.io/"}},
}  # fmt: skip
FACETS = {"type": "object", "additionalProperties": FACET}
NAMED = {"namespace": TEXT, "name": TEXT, "facets": FACETS, "inputFacets": FACETS, "outputFacets": FACETS}
NAMED_THING = {"type": "object", "required": ["namespace", "name"], "properties": NAMED}
RUN_ID = {"type": "string", "format": "uuid"}
RUN_EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object", "required": ["run", "job", "eventTime", "eventType", "producer", "schemaURL"],
    "properties": {
        "eventType": {"enum": ["START", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"}, "producer": TEXT, "schemaURL": TEXT,
        "run": {"type": "object", "required": ["runId"], "properties": {"runId": RUN_ID, "facets": FACETS}},
        "job": NAMED_THING, "inputs": {"type": "array", "items": NAMED_THING},
        "outputs": {"type": "array", "items": NAMED_THING},
    },
}  # fmt: skip
"""What the core of the specification requires of an event; OpenLineage's client checks the facets as it builds them."""


def require_valid(event: dict[str, Any]) -> None:
    """Checks an event against the schema."""
    validator = jsonschema.Draft202012Validator
    validator(RUN_EVENT, format_checker=validator.FORMAT_CHECKER).validate(event)
