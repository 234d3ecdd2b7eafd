"""Files of a web server: versions, interruptions, pages for people."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.unit.tasks.sources.conftest import PEOPLE, Read
from varjepa.errors import DataError, InterruptedReadError
from varjepa.tasks.sources.web import _name

CSV = PEOPLE.write_csv().encode()


class Site:
    """A server with one file at /people.csv, /people and so on, and a way to make it stumble.

    Attributes:
        content: of the file.
        headers: sent with it.
        breaks: the number of answers that end in the middle.
        ranges: the ranges that were asked for.
    """

    def __init__(self) -> None:
        self.content, self.headers, self.breaks, self.ranges = CSV, {"ETag": '"1"'}, 0, list[str]()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "missing" in self.path:
                    self.send_error(404)
                    return
                if "busy" in self.path:
                    self.send_error(503)
                    return
                asked = self.headers.get("Range")
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                if asked:
                    site.ranges.append(asked)
                self.send_response(206 if asked else 200)
                page = "text/html; charset=utf-8" if "page" in self.path else "text/csv"
                body = site.content[start:]
                for name, value in (site.headers | {"Content-Type": page, "Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                cut = site.breaks > 0 and len(body) > 20
                site.breaks -= cut
                self.wfile.write(body[: len(body) // 2] if cut else body)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("varjepa.tasks.sources.web.WAIT_SECONDS", 0.0)
    made = Site()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_a_file_is_read_and_its_etag_is_its_fingerprint(site: Site, read: Callable[..., Read]) -> None:
    first, again = read(f"{site.url}/people.csv"), read(f"{site.url}/people.csv?v=1")
    assert first.frame.equals(PEOPLE)
    assert first.fingerprint == again.fingerprint
    assert again.description == f"{site.url}/people.csv"  # a query may let anybody in
    site.headers["ETag"] = '"2"'
    assert read(f"{site.url}/people.csv").fingerprint != first.fingerprint


def test_without_versions_the_content_is_the_fingerprint(site: Site, read: Callable[..., Read]) -> None:
    site.headers = {}
    assert read(f"{site.url}/people.csv").fingerprint == hashlib.sha256(CSV).hexdigest()
    site.headers = {"Last-Modified": "Sun, 31 May 2026 12:00:00 GMT"}
    dated = read(f"{site.url}/people.csv").fingerprint
    assert dated not in (hashlib.sha256(CSV).hexdigest(), "")
    assert read(f"{site.url}/people.csv").fingerprint == dated


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(site: Site, tmp_path: Path) -> None:
    from varjepa.config import DataSection
    from varjepa.tasks.sources.open_table import find_table, require_unchanged

    found = find_table(DataSection(path=f"{site.url}/people.csv"), tmp_path)
    fingerprint = found.fingerprint()
    require_unchanged(found, fingerprint)
    site.headers = {"ETag": '"2"'}
    with pytest.raises(InterruptedReadError, match="changed while it was read"):
        require_unchanged(found, fingerprint)


@pytest.mark.parametrize("headers", [{"ETag": '"1"', "Accept-Ranges": "bytes"}, {}], ids=["resumed", "from the start"])
def test_an_interrupted_copy_goes_on(site: Site, read: Callable[..., Read], headers: dict[str, str]) -> None:
    site.headers = headers
    site.breaks = 3  # one while the versions are asked for does not count
    assert read(f"{site.url}/people.csv").frame.equals(PEOPLE)
    assert bool(site.ranges) == bool(headers)


def test_a_server_that_breaks_every_time_leaves_nothing(site: Site, read: Callable[..., Read]) -> None:
    site.breaks = 1000
    with pytest.raises(InterruptedReadError, match=r"does not answer: peer closed.*run the same command again"):
        read(f"{site.url}/people.csv")


@pytest.mark.parametrize(("path", "words"), [
    ("missing.csv", "the server answers 404"),
    ("page.csv", "a page for people, not a file"),
])  # fmt: skip
def test_what_is_no_file_is_said(site: Site, read: Callable[..., Read], path: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(f"{site.url}/{path}")


def test_a_signature_is_shown_nowhere(
    site: Site, read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("varjepa.tasks.sources.web.ATTEMPTS", 2)
    caplog.set_level(0)
    for name in ("people.csv", "busy.csv"):
        monkeypatch.setenv("PLACE", f"{site.url}/{name}?sig=sesame&key=swordfish")
        with suppress(InterruptedReadError):
            assert "?" not in read("${PLACE}").description
    with pytest.raises(InterruptedReadError, match="503") as raised:
        read("${PLACE}")
    assert not any(secret in text for secret in ("sesame", "swordfish") for text in (str(raised.value), caplog.text))


@pytest.mark.parametrize(("address", "name"), [
    ("https://host/%2Fetc%2Fpeople.csv", "people.csv"), ("https://host/a%2F..%2F..%2Fpeople.csv?v=1", "people.csv"),
    ("https://host/..", "table"), ("https://host/%2E%2E", "table"), ("https://host", "table"),
    ("https://host/%00.csv", ".csv"), ("https://host/" + "%C3%A4" * 300 + ".csv", "ä" * 56 + ".csv"),
])  # fmt: skip
def test_an_address_cannot_choose_where_its_copy_lies(address: str, name: str) -> None:
    assert _name(address) == name
