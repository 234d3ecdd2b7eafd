"""Files at web addresses: copied in a stream, resumed after an interruption, and read like local ones."""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from varjepa.config import DataSection
from varjepa.data.read.sources import Source, open_path
from varjepa.errors import DataError
from varjepa.tasks.sources.fingerprints import file_fingerprint, fingerprint_of
from varjepa.tasks.sources.found_table import FoundTable, Text
from varjepa.tasks.steps.log import log

logging.getLogger("httpx").setLevel(logging.WARNING)  # below that, it logs whole addresses, with signatures

ATTEMPTS = 4
WAIT_SECONDS = 1.0
LONGEST_NAME = 60
"""Characters of the name of a copy, which a file system may take for four bytes each."""
TIMEOUT = httpx.Timeout(60, connect=15)


@dataclass
class _Copy:
    """A file on its way.

    Attributes:
        file: where it goes.
        tag: its etag; empty if the server says none.
        resumes: whether the server can go on in the middle.
    """

    file: Path
    tag: str = ""
    resumes: bool = False


def find_web_file(address: str, data: DataSection, stage: Path, description: str) -> FoundTable:
    """The table in a file at an address of the web.

    Raises:
        DataError: there is none, or the address answers with a page for people.
    """
    tag = _tag(_headers(address, description))
    file = stage / _name(address)

    def fingerprint() -> str:
        # A server that tells no versions: the content decides.
        return fingerprint_of("web", tag) if tag else file_fingerprint((copied(),))

    def copied() -> Path:
        if not file.is_file():
            copy(address, file, description)
        return file

    def opened(text: Text) -> Source:
        return replace(open_path(str(copied()), data, text), files=(), description=description)

    def now() -> str:
        if not tag:
            return fingerprint()  # of the copy itself, which is what is read
        return fingerprint_of("web", _tag(_headers(address, description)))

    return FoundTable(description, fingerprint, opened, now)


def _name(address: str) -> str:
    """A name for the copy, of which the ending counts: no path, whatever slashes the address holds in coded form."""
    name = Path(unquote(urlsplit(address).path).replace("\0", "")).name[-LONGEST_NAME:]
    return "table" if name in ("", "..") else name


def _headers(address: str, description: str) -> httpx.Headers:
    # Not HEAD, which many servers and all signed addresses refuse.
    with _client() as client, client.stream("GET", address) as response:
        _require_file(response, description)
        return response.headers


def _tag(headers: httpx.Headers) -> str:
    if headers.get("etag"):
        return str(headers["etag"])
    changed, length = headers.get("last-modified"), headers.get("content-length")
    return f"{changed} {length}" if changed and length else ""


def copy(address: str, file: Path, description: str) -> None:
    """Copies a file; it appears only when it is complete.

    Raises:
        DataError: there is no such file.
        httpx.HTTPError: the server did not answer, or stopped in the middle, `ATTEMPTS` times.
    """
    state = _Copy(file.with_name(f"{file.name}.part"))
    state.file.unlink(missing_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _go_on(address, state, description)
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            if attempt == ATTEMPTS:
                raise
            log.warning("%s does not answer (%s); trying again", description, type(error).__name__)
            time.sleep(WAIT_SECONDS * attempt)
        else:
            state.file.replace(file)
            return


def _go_on(address: str, state: _Copy, description: str) -> None:
    """Reads the rest of the file, or all of it where the server cannot go on or has another version now."""
    done = state.file.stat().st_size if state.file.is_file() and state.resumes else 0
    headers = {"Range": f"bytes={done}-", "If-Range": state.tag} if done else {}
    with _client() as client, client.stream("GET", address, headers=headers) as response:
        _require_file(response, description)
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        if not resumed:
            etag = response.headers.get("etag", "")
            state.resumes = response.headers.get("accept-ranges") == "bytes" and etag.startswith('"')
            state.tag = etag
        with state.file.open("ab" if resumed else "wb") as stream:
            for piece in response.iter_raw():
                stream.write(piece)


def _client() -> httpx.Client:
    # The file as it lies there, not what the server could make of it on the way.
    return httpx.Client(follow_redirects=True, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})


def _require_file(response: Any, description: str) -> None:
    if response.status_code >= 500:
        response.raise_for_status()
    if response.status_code >= 400:
        reason = f"{response.status_code} {response.reason_phrase}"
        raise DataError(f"{description} cannot be read: the server answers {reason}.", fix="Check the address.")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise DataError(
            f"{description} is a page for people, not a file.",
            fix="Copy the address of the file itself. The page may also ask for a login.",
        )
