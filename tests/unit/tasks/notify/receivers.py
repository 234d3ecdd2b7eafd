"""Real receivers of messages on 127.0.0.1: a mail server and a web hook."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.store_servers import free_port


class Mailbox:
    """Handles mails of aiosmtpd."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[str, list[Mail]]]:
    """An address for apprise, and the mails that have arrived."""
    from aiosmtpd.controller import Controller

    mailbox = Mailbox()
    port = free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield f"mailto://127.0.0.1:{port}/?from=varjepa@example.com&to=team@example.com&mode=insecure", mailbox.mails
    finally:
        server.stop()


@contextmanager
def web_hook(status: int = 200, *, silent: bool = False) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address for apprise, and the messages that have arrived.

    Args:
        status: of every answer.
        silent: take messages and never answer.
    """
    bodies: list[dict[str, Any]] = []
    end = Event()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if silent:
                end.wait(30)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/hook", bodies
    finally:
        end.set()
        server.shutdown()
        server.server_close()
