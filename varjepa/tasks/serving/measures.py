"""What Prometheus reads of the service."""

from typing import cast

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""

CLOSE = 0.05
"""Numbers that differ by less than this share of their spread count as the same."""


class Measures:
    """Counters and histograms of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("varjepa_requests", "Requests, by status", ["status"], registry=self.registry)
        self._seconds = Histogram("varjepa_request_seconds", "Time to answer", buckets=BUCKETS, registry=self.registry)
        self._rows = Counter("varjepa_rows", "Rows answered", registry=self.registry)
        self._batch = Histogram(
            "varjepa_batch_rows",
            "Rows scored together",
            buckets=(1, 4, 16, 64, 256, 1024, 4096),
            registry=self.registry,
        )
        self._version = Gauge("varjepa_version", "1 for the version that answers", ["version"], registry=self.registry)
        self._changes = Counter("varjepa_version_changes", "Moves of the alias", registry=self.registry)
        self._shadow = Counter("varjepa_shadow_rows", "Rows of the shadow", ["outcome"], registry=self.registry)

    def request(self, status: int, seconds: float, rows: int) -> None:
        """A request has been answered."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)
        self._rows.inc(rows)

    def batch(self, rows: int) -> None:
        """Rows were scored together."""
        self._batch.observe(rows)

    def version(self, name: str) -> None:
        """Another version begins to answer."""
        self._version.clear()
        self._version.labels(name).set(1)
        self._changes.inc()

    def shadow(self, answer: pl.DataFrame, other: pl.DataFrame) -> None:
        """The shadow has scored the rows of an answer; counts where the predictions differ."""
        if "prediction" not in answer.columns or "prediction" not in other.columns:
            self._shadow.labels("unlike").inc(answer.height)
            return
        differ = differences(answer["prediction"], other["prediction"])
        self._shadow.labels("differs").inc(differ)
        self._shadow.labels("agrees").inc(answer.height - differ)

    def shadow_failed(self, rows: int) -> None:
        """The shadow cannot score rows that were answered."""
        self._shadow.labels("failed").inc(rows)

    def shadow_skipped(self, rows: int) -> None:
        """The shadow could not keep up."""
        self._shadow.labels("skipped").inc(rows)

    def page(self) -> bytes:
        """The text that Prometheus reads."""
        return cast("bytes", generate_latest(self.registry))


def differences(one: pl.Series, other: pl.Series) -> int:
    """How many predictions differ; numbers by more than `CLOSE` of their spread.

    Examples:
        >>> differences(pl.Series(["a", "b"]), pl.Series(["a", "c"]))
        1
    """
    if not one.dtype.is_float() or not other.dtype.is_float():
        return int((one.cast(pl.String) != other.cast(pl.String)).sum())
    a, b = one.to_numpy(), other.to_numpy()
    spread = max(float(np.std(a)), float(np.std(b)), 1e-12)
    return int((np.abs(a - b) > CLOSE * spread).sum())
