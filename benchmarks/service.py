"""The HTTP service under a steady load, while its alias moves.

    python -m benchmarks.service models:/demo@champion ROWS --rate 200 --seconds 60

ROWS is a table with the model's columns, from which requests of one row are made. The alias moves to the version before
it and back during the run, if there is one. The load comes from a process of its own, on the same cores.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import polars as pl
import psutil

from varjepa.tasks.registry.open_model import registered_version
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store

IDLE = 3.0
"""Seconds after which an idle connection is not used again; the service closes it after five."""

RESULTS = Path(__file__).parent / "results" / "service.json"


def main() -> None:
    """Starts the service, asks it, and writes what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="models:/NAME@ALIAS")
    parser.add_argument("rows", help="CSV or Parquet file")
    parser.add_argument("--rate", type=int, default=200, help="requests per second")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "varjepa.flows.cli", "serve", options.model, "--port", str(port), "--every", "1"]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        result = asyncio.run(_measured(options, port, process.pid))
    finally:
        process.terminate()
        process.wait(60)
    print(json.dumps(result, indent=2))
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


async def _measured(options: argparse.Namespace, port: int, pid: int) -> dict[str, object]:
    read = pl.read_parquet if options.rows.endswith(".parquet") else pl.read_csv
    bodies = [json.dumps({"rows": [row]}, default=str).encode() for row in read(options.rows).head(500).to_dicts()]
    service = psutil.Process(pid)
    memory: list[float] = []
    moves: list[str] = []
    answers: list[tuple[int, float, bool]] = []
    connections = Connections(port)
    await _ready(f"http://127.0.0.1:{port}")

    async def ask(number: int) -> None:
        began = time.perf_counter()
        try:
            answer = await connections.post(bodies[number % len(bodies)])
            same = answer.version == json.loads(answer.body).get("version")
            answers.append((answer.status, time.perf_counter() - began, same))
        except OSError:
            answers.append((0, time.perf_counter() - began, False))

    await asyncio.gather(*(ask(number) for number in range(50)))  # warm
    answers.clear()
    tasks, began, total = [], time.perf_counter(), options.rate * options.seconds
    mover = asyncio.create_task(asyncio.to_thread(_move, options.model, options.seconds, moves))
    cpu = _seconds(service)
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / options.rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(number)))
        if number % (options.rate * 5) == 0:
            memory.append(service.memory_info().rss / 2**20)
    await asyncio.gather(*tasks)
    seconds = time.perf_counter() - began
    await mover
    times = np.array([taken for _, taken, _ in answers])
    return {
        "rate": options.rate, "requests": total, "seconds": round(seconds, 1), "moves": moves,
        "statuses": dict(Counter(str(status) for status, _, _ in answers)),
        "mixed": sum(not same for status, _, same in answers if status == 200),
        "milliseconds": {f"p{q}": round(float(np.percentile(times, q)) * 1000, 1) for q in (50, 95, 99, 100)},
        "memory_mib": [round(value) for value in memory],
        "cpu_seconds": {"service": round(_seconds(service) - cpu, 1), "load": round(time.process_time(), 1)},
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }  # fmt: skip


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


class Answer(NamedTuple):
    """An answer of the service: status, version by its header, and body."""

    status: int
    version: str
    body: bytes


class Connections:
    """Connections that are kept open, as a client in production keeps them.

    Plain sockets: the usual clients for Python take longer for a request than the service has for it.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []

    async def post(self, body: bytes) -> Answer:
        """The answer to a body.

        Raises:
            OSError: the connection ended before the answer.
        """
        reader, writer = await self._connection()
        head = (
            "POST /predict HTTP/1.1",
            "Host: 127.0.0.1",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        writer.write("\r\n".join([*head, "", ""]).encode() + body)
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            content = await reader.readexactly(int(headers["content-length"]))
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("no whole answer") from error
        self._free.append((reader, writer, time.monotonic()))
        return Answer(int(first.split()[1]), headers.get("x-model-version", ""), content)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer, since = self._free.pop()
            if time.monotonic() - since < IDLE:
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def _ready(address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        for _ in range(300):
            try:
                if (await client.get("/health")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
    raise SystemExit("the service does not answer")


def _move(model: str, seconds: int, moves: list[str]) -> None:
    """Moves the alias to the version before and back, at a third and at two thirds of the time."""
    name, number = registered_version(model, None)
    client, alias = client_for(store(None)), model.rsplit("@", 1)[1]
    if int(number) < 2:
        return
    for version in (str(int(number) - 1), number):
        time.sleep(seconds / 3)
        client.set_registered_model_alias(name, alias, version)
        moves.append(version)


if __name__ == "__main__":
    main()
