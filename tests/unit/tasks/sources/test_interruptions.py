"""Servers that stop in the middle of a read: the read goes on, or ends with words and leaves nothing."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import polars as pl
import pytest

from tests.store_servers import BUCKET, S3
from tests.unit.tasks.sources.conftest import Read
from varjepa.errors import InterruptedReadError

pytestmark = pytest.mark.slow  # servers start

ROWS = 200_000
TABLE = pl.DataFrame({"id": pl.int_range(ROWS, eager=True), "hash": pl.int_range(ROWS, eager=True).hash()})


class CuttingProxy:
    """Passes connections on to a server, and closes some of them in the middle of a long answer.

    Args:
        port: of the server.

    Attributes:
        cuts: the number of answers that will be cut.
        after: bytes of an answer that pass before.
    """

    def __init__(self, port: int) -> None:
        self.target, self.cuts, self.after = port, 0, 100_000
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if answers and passed > self.after and self.cuts > 0:
                    self.cuts -= 1
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    made = CuttingProxy(int(s3.client.meta.endpoint_url.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
    yield made
    made.listener.close()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_object_store_that_breaks_once_is_read_to_the_end(
    s3: S3, proxy: CuttingProxy, read: Callable[..., Read], kind: str
) -> None:
    if kind == "csv":
        s3.put("broken/table.csv", TABLE.write_csv().encode())
    else:
        s3.put_parquet("broken/table.parquet", TABLE)
    proxy.cuts = 1
    frame = read(f"s3://{BUCKET}/broken/table.{kind}").frame
    assert proxy.cuts == 0
    assert frame.select(pl.len(), pl.sum("id")).row(0) == (ROWS, ROWS * (ROWS - 1) // 2)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_object_store_that_breaks_every_time(
    s3: S3, proxy: CuttingProxy, read: Callable[..., Read], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("varjepa.tasks.sources.bucket.RETRIES", 1)
    if kind == "csv":
        s3.put("broken/always.csv", TABLE.write_csv().encode())
    else:
        s3.put_parquet("broken/always.parquet", TABLE)
    proxy.cuts = 10_000
    with pytest.raises(InterruptedReadError, match="Nothing was kept"):
        read(f"s3://{BUCKET}/broken/always.{kind}")


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_a_database_that_stops_in_the_middle(
    engine: str, request: pytest.FixtureRequest, read: Callable[..., Read], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = request.getfixturevalue(f"{engine}_server")
    monkeypatch.setenv("SHOP", server)
    slow = {
        "postgres": "SELECT i, pg_sleep(0.00001) IS NULL AS slow FROM generate_series(1, 20000000) AS i",
        "mariadb": "SELECT seq, SLEEP(0.00001) AS slow FROM seq_1_to_20000000",
    }
    stopped = threading.Thread(target=stop_reader, args=(engine, server))
    stopped.start()
    with pytest.raises(InterruptedReadError, match=r"does not answer.*Nothing was kept"):
        read("${SHOP}", query=slow[engine])
    stopped.join()


def stop_reader(engine: str, server: str) -> None:
    """Ends the connection that reads, as a restart of the server does, once its query runs."""
    if engine == "postgres":
        import psycopg2 as driver

        connection = driver.connect(server)
        search = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'FETCH%rows%' AND pid <> pg_backend_pid()"
        end = "SELECT pg_terminate_backend({})"
    else:
        import pymysql as driver
        from sqlalchemy import make_url

        url = make_url(server)
        connection = driver.connect(host=url.host, port=url.port, user="root", autocommit=True)
        search = (
            "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP%' AND info NOT LIKE '%processlist%'"
        )
        end = "KILL {}"
    with closing(connection), closing(connection.cursor()) as cursor:
        for _ in range(500):
            cursor.execute(search)
            if reader := cursor.fetchone():
                time.sleep(0.2)
                cursor.execute(end.format(reader[0]))
                return
            connection.commit()
            time.sleep(0.02)
