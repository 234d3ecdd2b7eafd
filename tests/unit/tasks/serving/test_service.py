"""Parts of the service that need no model: its log, its address, slow requests, and those that make others fail."""

import asyncio
import socket
import threading
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import polars as pl
import pytest

from varjepa.config import DataSection
from varjepa.errors import SetupError
from varjepa.tasks.serving import app, batches, versions
from varjepa.tasks.serving.app import PLAIN, Service, bound
from varjepa.tasks.serving.prediction_log import PredictionLog
from varjepa.tasks.serving.settings import ServeSettings


def test_one_odd_request_spoils_no_others_in_the_log(tmp_path: Path) -> None:
    log, answer = PredictionLog(tmp_path, ("id",), 10**9), pl.DataFrame({"prediction": ["x"]})
    for cell in (1, b"\xff", "two", date(2026, 1, 3)):
        log.add("models:/a/1", "answer", 0.0, pl.DataFrame({"id": [cell]}), answer)
    log.close()
    assert pl.read_parquet(tmp_path / "*.parquet")["id"].to_list() == ["1", r"b'\xff'", "two", "2026-01-03"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "no.such.host.invalid", "a..b"])
def test_an_address_that_nobody_can_listen_at_is_the_users_fault(host: str) -> None:
    """Exit code 2; that of uvicorn, 3, would say that the data broke its contract."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        if host == "::1":
            try:
                bound(host, port).close()  # another address, which is free
            except SetupError:
                pytest.skip("no IPv6")
            return
        with pytest.raises(SetupError, match=f"Nobody can listen at {host}:{port}"):
            bound(host, port)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose model answers each row with its own cell, and panics at the word `panic`."""
    preprocessor = SimpleNamespace(columns=["a"])
    model = SimpleNamespace(config=SimpleNamespace(data=DataSection(path="a.csv")), preprocessor=preprocessor)

    def scored(_: object, rows: pl.DataFrame, __: object) -> pl.DataFrame:
        if "panic" in rows["a"].to_list():
            pl.Series([2**31 - 1]).cast(pl.Int32).cast(pl.Date).to_list()  # as Polars does
        return pl.DataFrame({"prediction": rows["a"]})

    # No model is known that makes Polars panic, so one stands in; the service around it is real.
    monkeypatch.setattr(versions.Versions, "_wanted", lambda _: "models:/kunden-日本/1")
    monkeypatch.setattr(versions.Versions, "_loaded", lambda _, name: versions.Served(name, model))  # type: ignore[arg-type] # stands in
    monkeypatch.setattr(batches, "require_groups", lambda *_: None)
    monkeypatch.setattr(batches, "scored", scored)
    return Service(ServeSettings("models:/kunden-日本@champion", timeout=2.0, every=60.0))


async def _asked(service: Service, *bodies: Any) -> list[httpx.Response]:
    """The answers to requests that are made at the same moment."""
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        return await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))


def test_a_request_that_makes_a_library_panic_reaches_no_others(service: Service) -> None:
    rows = [f'{{"rows": [{{"a": "{word}"}}]}}' for word in ("one", "panic", "two")]
    answers = asyncio.run(_asked(service, *rows))
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    assert answers[2].json() == {"version": "models:/kunden-日本/1", "rows": [{"prediction": "two"}]}
    assert answers[2].headers[app.VERSION_HEADER] == "models:/kunden-%E6%97%A5%E6%9C%AC/1"
    assert "%" in PLAIN  # a name that has none of these characters stands there as it is
    assert b'varjepa_requests_total{status="500"} 1.0' in service.measures.page()


def test_a_service_that_stops_logs_what_its_shadow_had_to_score(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service.versions, "_shadow_wanted", lambda: "models:/kunden-日本/2")  # no registry
    service.versions.refresh()
    service.log = service.batches.log = PredictionLog(tmp_path, (), 10**9)
    at_work, given = threading.Event(), batches.scored

    def slow(model: Any, rows: pl.DataFrame, groups: tuple[str, ...]) -> pl.DataFrame:
        if threading.current_thread().name.startswith("shadow"):
            at_work.wait(10)
        return given(model, rows, groups)

    monkeypatch.setattr(batches, "scored", slow)

    async def two_requests_before_the_end() -> str:
        transport = httpx.ASGITransport(service.app)
        async with (
            service.app.router.lifespan_context(service.app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            for word in ("one", "two", "one too many"):
                assert (await client.post("/predict", json={"rows": [{"a": word}]})).status_code == 200
            metrics = (await client.get("/metrics")).text
            threading.Timer(0.1, at_work.set).start()  # while the service stops
            return metrics

    assert 'varjepa_shadow_rows_total{outcome="skipped"} 1.0' in asyncio.run(two_requests_before_the_end())
    logged = pl.read_parquet(tmp_path / "*.parquet").sort("time").rows_by_key("role", named=True)
    assert {role: [row["prediction"] for row in rows] for role, rows in logged.items()} == {
        "answer": ["one", "two", "one too many"], "shadow": ["one", "two"],
    }  # fmt: skip


def test_a_body_that_does_not_arrive_is_given_up(service: Service) -> None:
    async def slow() -> Any:
        yield b'{"rows": '
        await asyncio.sleep(60)

    (answer,) = asyncio.run(asyncio.wait_for(_asked(service, slow()), 30))
    assert (answer.status_code, answer.json()["detail"]) == (408, "The body has not arrived within 2 s.")
