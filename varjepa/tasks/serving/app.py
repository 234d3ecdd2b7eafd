"""The HTTP application: rows in, answers out, health and metrics beside them."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from urllib.parse import quote

import polars as pl
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from varjepa import __version__
from varjepa.errors import SetupError, VarjepaError, listed
from varjepa.redaction import redacted
from varjepa.tasks.serving.batches import Batches, BusyError
from varjepa.tasks.serving.bodies import FORMAT, MEDIA, TYPES, body_of, rows_of
from varjepa.tasks.serving.measures import Measures
from varjepa.tasks.serving.prediction_log import PredictionLog
from varjepa.tasks.serving.settings import TOKEN, ServeSettings
from varjepa.tasks.serving.versions import Versions
from varjepa.tasks.steps.log import log
from varjepa.visible import visible

VERSION_HEADER = "X-Model-Version"

PLAIN = "".join(map(chr, range(32, 127)))
"""What a header can hold; any other character of a name stands there by the numbers of its bytes, as in a URL."""

AT_ONCE = 2**16
"""Bytes that are read or written at once, within a millisecond: handing them to another thread takes longer."""

BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"example": {"rows": [{"age": 41, "job": "nurse"}]}},
            "text/csv": {"example": "age,job\n41,nurse\n"},
            MEDIA["arrow"]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
"""For the OpenAPI page."""


class Service:
    """The application with what it needs.

    Args:
        settings: of the service.

    Raises:
        ModelError: see `Versions`.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.measures = settings, Measures()
        self.versions = Versions(settings, self.measures.version)
        self.log = None if settings.log is None else PredictionLog(settings.log, settings.keep, settings.log_bytes)
        self.token = os.environ.get(TOKEN, "")
        self.batches = Batches(self.versions, self.measures, self.log)
        self.app = self._app()

    def _app(self) -> FastAPI:
        app = FastAPI(
            title=f"varjepa: {self.settings.model}", version=__version__, lifespan=self._lifespan,
            description="Predictions for rows of a table, with their uncertainty.",
        )  # fmt: skip
        known = [Depends(self._require_token)]
        app.post("/predict", dependencies=known, openapi_extra=BODIES, response_model=None)(self._predict)
        app.get("/health")(self._health)
        app.get("/metrics", dependencies=known, response_model=None)(self._metrics)
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.versions.start()
        answering = asyncio.create_task(self.batches.run())
        try:
            yield
        finally:
            self.versions.stop()
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
            self.batches.close()
            if self.log is not None:
                self.log.close()

    async def _require_token(
        self, given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if self.token and not secrets.compare_digest(
            (given.credentials if given else "").encode(), self.token.encode()
        ):
            raise HTTPException(401, "A bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})

    async def _health(self) -> dict[str, Any]:
        """Whether the service answers, and by which version; `fault` says why an alias cannot be followed."""
        shadow = self.versions.shadow
        return {
            "status": "ok", "version": self.versions.current.name, "shadow": None if shadow is None else shadow.name,
            "fault": visible(redacted(self.versions.fault)),
        }  # fmt: skip

    async def _metrics(self) -> Response:
        """For Prometheus."""
        return Response(self.measures.page(), media_type="text/plain; version=0.0.4")

    async def _predict(
        self,
        request: Request,
        columns: Annotated[str | None, Query(description="As `varjepa score --columns`.")] = None,
    ) -> Response:
        """Answers rows: JSON, CSV or Arrow by Content-Type, in the form that Accept names (default: the same)."""
        began, rows = time.perf_counter(), 0
        try:
            form, wanted = _form_of(request), _answer_form(request)
            body = await self._body(request)
            model = self.versions.current.model
            data, read = model.config.data, model.preprocessor.columns
            frame = await _aside(len(body), lambda: _in_words(lambda: rows_of(body, form, data, read)))
            rows = self._counted(frame)
            groups = self.settings.groups if columns is None else tuple(dict.fromkeys(columns.split(",")))
            version, answer = await self._answered(frame, groups)
            content = await _aside(int(answer.estimated_size()), lambda: body_of(answer, version, wanted))
        except HTTPException as error:
            self.measures.request(error.status_code, time.perf_counter() - began, 0)
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            # A bug. Its traceback is not for whoever asked.
            log.exception("a request could not be answered")
            self.measures.request(500, time.perf_counter() - began, 0)
            raise HTTPException(500, "The model could not answer. Its log says why.") from error
        self.measures.request(200, time.perf_counter() - began, rows)
        return Response(content, media_type=MEDIA[wanted], headers={VERSION_HEADER: quote(version, safe=PLAIN)})

    def _counted(self, frame: pl.DataFrame) -> int:
        if frame.height > self.settings.most_rows:
            raise HTTPException(413, f"A request may hold {self.settings.most_rows:,} rows at most.")
        return frame.height

    async def _answered(self, frame: pl.DataFrame, groups: tuple[str, ...]) -> tuple[str, pl.DataFrame]:
        if frame.is_empty():
            return self.versions.current.name, pl.DataFrame()
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await self.batches.answer(frame, groups)
        except TimeoutError as error:
            raise HTTPException(504, f"No answer within {self.settings.timeout:g} s.") from error
        except BusyError as error:
            raise HTTPException(503, "Too many requests wait.", headers={"Retry-After": "1"}) from error
        except VarjepaError as error:
            raise _bad(error) from error

    async def _body(self, request: Request) -> bytes:
        """The body, as far as the limit allows: its length is what arrives, whatever the header says."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.settings.timeout):
                async for part in request.stream():
                    size += len(part)
                    if size > self.settings.most_bytes:
                        raise HTTPException(413, f"A body may have {self.settings.most_bytes:,} bytes at most.")
                    parts.append(part)
        except TimeoutError as error:
            raise HTTPException(408, f"The body has not arrived within {self.settings.timeout:g} s.") from error
        except ClientDisconnect as error:  # nobody is there to read the answer; it is counted as such
            raise HTTPException(499, "The client has gone.") from error
        return b"".join(parts)


async def _aside(size: int, compute: Callable[[], Any]) -> Any:
    """The result of a computation, on another thread if it would keep other requests waiting.

    Args:
        size: bytes that it reads.
        compute: makes it.
    """
    return compute() if size <= AT_ONCE else await asyncio.to_thread(compute)


def _in_words(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except VarjepaError as error:
        raise _bad(error) from error


def _bad(error: VarjepaError) -> HTTPException:
    return HTTPException(400, visible(redacted(str(error))))


def _form_of(request: Request) -> FORMAT:
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if kind not in TYPES:
        raise HTTPException(415, f"The content type {visible(kind)[:80]} cannot be read. Expected {listed([*TYPES])}.")
    return TYPES[kind]


def _answer_form(request: Request) -> FORMAT:
    wanted = [part.split(";")[0].strip().lower() for part in request.headers.get("accept", "*/*").split(",")]
    named = next((TYPES[kind] for kind in wanted if kind in TYPES), None)
    if named is None and not any(kind in ("*/*", "application/*", "text/*", "") for kind in wanted):
        raise HTTPException(406, f"Answers are {', '.join(TYPES)}.")
    return named or _form_of(request)


def serve(settings: ServeSettings, host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C; requests in progress are answered first.

    Raises:
        ModelError: see `Versions`.
        SetupError: nobody can listen at this address.
    """
    import uvicorn

    with bound(host, port) as listener:
        log.info("loading %s", settings.model)
        service = Service(settings)
        log.info("%s answers at http://%s:%d/predict; Ctrl-C stops it", service.versions.current.name, host, port)
        server = uvicorn.Server(uvicorn.Config(
            service.app, log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=round(settings.timeout) + 1,
        ))  # fmt: skip
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    if not server.started:
        raise VarjepaError("The service could not start. The lines above say why.")
    log.info("stopped; every request that had begun was answered")


def bound(host: str, port: int) -> socket.socket:
    """A socket for this address, taken before a model is loaded; nobody can connect to it yet.

    Raises:
        SetupError: there is no such address of this machine, or the port is in use or not for this user.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(address)
        except OSError:
            taken.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SetupError(
            f"Nobody can listen at {host}:{port}: {reason}.", fix="Check --host, try another --port."
        ) from error
    return taken
