"""Requests to a web server, of which some were slow."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import numpy as np

from benchmarks.messy_tables.written import MessyTable, drawn, gapped, happens, with_gaps

AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.{}.{} Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_{} like Mac OS X) AppleWebKit/605.1.{} (KHTML, like Gecko) Version/17.{}",
    "Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101 Firefox/{}.{}",
    "curl/{}.{}.{}",
    "Googlebot/{}.{} (+http://www.google.com/bot{}.html)",
)
PATHS = ("/", "/login", "/api/v1/orders/{}", "/api/v1/search?q={}", "/static/app.{}.js", "/report/{}.pdf")
SLOW_PATHS, SLOW_AGENTS = ("/api/v1/search", "/report"), "bot"


def log(rows: int, seed: int) -> MessyTable:
    """Times with zones, epoch milliseconds, durations, UUIDs, addresses, user agents, status codes, paths."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, 60 * 86400, rows))
    moments = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=float(second)) for second in seconds]
    hour = np.array([moment.hour for moment in moments])
    agent, path = rng.integers(0, len(AGENTS), rows), rng.integers(0, len(PATHS), rows)
    paths = [PATHS[k].format(rng.integers(1, 10**6)) for k in path]
    session = rng.exponential(2000, rows).astype(int)
    size, no_size = rng.lognormal(8, 1.2, rows).astype(int), rng.random(rows) < 0.05
    status = drawn(rng, ["200", "301", "304", "404", "500"], rows, [0.8, 0.05, 0.07, 0.05, 0.03])
    slow = happens(
        rng, -3 + 3 * np.isin(path, [3, 5]) + 2 * (agent == 4) + 1.5 * ((hour >= 17) & (hour < 21)) + session / 4000
    )
    text = {
        "request_id": [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(rows)],
        "timestamp": [
            _zoned(moment, minutes)
            for moment, minutes in zip(moments, rng.choice([0, 60, 120, -300], rows), strict=True)
        ],
        "received_ms": [str(int(moment.timestamp() * 1000) + 3) for moment in moments],
        "client_ip": [".".join(map(str, rng.integers(1, 255, 4))) for _ in range(rows)],
        "method": drawn(rng, ["GET", "POST", "HEAD"], rows, [0.8, 0.17, 0.03]),
        "path": paths,
        "status": status,
        "bytes": gapped([str(n) for n in size], no_size, "-"),
        "session_length": [f"{n // 3600}:{n // 60 % 60:02}:{n % 60:02}" for n in session],
        "user_agent": [AGENTS[k].format(*rng.integers(1, 150, 3)) for k in agent],
        "cache_hit": drawn(rng, ["true", "false"], rows),
        "slow": ["t" if is_slow else "f" for is_slow in slow],
    }
    values = {
        "hour": hour,
        "agent": [f"a{k}" for k in agent],
        "path": [f"p{k}" for k in path],
        "status": status,
        "session": session,
        "bytes": with_gaps(size, no_size),
        "method": text["method"],
    }
    return MessyTable("slow", text, values, slow)


def _zoned(moment: datetime, minutes: int) -> str:
    """A time in a zone, as ISO writes it."""
    return moment.astimezone(timezone(timedelta(minutes=int(minutes)))).isoformat(timespec="milliseconds")
