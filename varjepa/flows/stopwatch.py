"""Announces and times the steps of a flow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from varjepa.tasks.steps.log import log

STEPS = {
    "ingest": "reading the table",
    "validate": "checking the data contract",
    "preprocess": "encoding cells as numbers",
    "pretrain": "training the embedding",
    "compact": "making compact vectors",
    "probe": "fitting predictions on the embedding",
    "calibrate": "calibrating the uncertainty",
    "generate": "training the generator of cells",
    "assess": "testing imputations, samples and anomaly scores",
    "reference": "measuring the reference for drift",
    "assemble": "putting the model together",
    "explain": "explaining predictions",
    "register": "registering the model",
    "gate": "comparing with the champion",
}
"""The steps of a retrain in their order -> what happens in them."""


class Stopwatch:
    """Announces each step when it begins, and adds up its duration."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.started = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Adds the time of the block under `name`."""
        if name in STEPS and name not in self.seconds:
            log.info("step %d of %d: %s", list(STEPS).index(name) + 1, len(STEPS), STEPS[name])
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def report(self) -> dict[str, float]:
        """Seconds per step, and in total since the start."""
        rounded = {name: round(value, 2) for name, value in self.seconds.items()}
        return rounded | {"total": round(time.perf_counter() - self.started, 2)}
