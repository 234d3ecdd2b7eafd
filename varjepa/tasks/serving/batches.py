"""Batches of concurrent requests: rows that wait while the model works are scored together by one version."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import polars as pl

from varjepa.inference.column_groups import require_known
from varjepa.inference.columns import require_groups, scored
from varjepa.tasks.serving.measures import Measures
from varjepa.tasks.serving.prediction_log import PredictionLog
from varjepa.tasks.serving.versions import Served, Versions
from varjepa.tasks.steps.log import log

MOST_ROWS = 4096
"""Rows of a batch, unless a single request has more."""

MOST_WAITING = 1000
"""Requests that may wait; further ones are refused at once."""

MOST_SHADOWED = 2
"""Batches that wait for the shadow, or are with it; further ones are left out: it cannot keep up."""


class BusyError(Exception):
    """Too many requests wait."""


@dataclass(eq=False)
class Asked:
    """A request that waits.

    Attributes:
        rows: its rows.
        groups: of columns that it wants.
        done: becomes the version and the answer.
    """

    rows: pl.DataFrame
    groups: tuple[str, ...]
    done: "asyncio.Future[tuple[str, pl.DataFrame]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def kind(self) -> tuple[object, ...]:
        """Requests of one kind have the same columns of the same types, so that their rows make one table."""
        return (*self.rows.schema.items(), self.groups)


class Batches:
    """Answers requests, batch by batch.

    Args:
        versions: in service.
        measures: of the service.
        log: of predictions; None for none.
    """

    def __init__(self, versions: Versions, measures: Measures, log: PredictionLog | None) -> None:
        self.versions, self.measures, self.log = versions, measures, log
        self._waiting: asyncio.Queue[Asked] = asyncio.Queue(MOST_WAITING)
        self._model, self._aside = (ThreadPoolExecutor(1, name) for name in ("score", "shadow"))
        self._room = threading.Semaphore(MOST_SHADOWED)

    async def answer(self, rows: pl.DataFrame, groups: tuple[str, ...]) -> tuple[str, pl.DataFrame]:
        """The version that has answered, and one row per row.

        Raises:
            BusyError: too many requests wait.
            VarjepaError: the rows or the groups do not fit the model.
        """
        require_known(groups)
        asked = Asked(rows, groups)
        try:
            self._waiting.put_nowait(asked)
        except asyncio.QueueFull as error:
            raise BusyError from error
        return await asked.done

    async def run(self) -> None:
        """Answers until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            rows = batch[0].rows.height
            while not self._waiting.empty() and rows < MOST_ROWS:
                batch.append(self._waiting.get_nowait())
                rows += batch[-1].rows.height
            batch = [asked for asked in batch if not asked.done.cancelled()]  # given up meanwhile
            served = self.versions.current
            outcomes = await loop.run_in_executor(self._model, self._outcomes, served, batch)
            answered = []
            for asked, outcome in zip(batch, outcomes, strict=True):
                if asked.done.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    asked.done.set_exception(outcome)
                else:
                    asked.done.set_result((served.name, outcome))
                    answered.append((asked, outcome))
            try:
                self._follow_up(served, answered)
            except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 (who asks next must be answered)
                log.exception("answers could not be logged, or compared with the shadow")

    def _outcomes(self, served: Served, batch: Sequence[Asked]) -> list[pl.DataFrame | Exception]:
        """The answer to each request of a batch, or why there is none; the fault of one does not reach the others."""
        outcomes: dict[Asked, pl.DataFrame | Exception] = {}
        kinds: dict[tuple[object, ...], list[Asked]] = {}
        for asked in batch:
            kinds.setdefault(asked.kind, []).append(asked)
        for alike in kinds.values():
            outcomes |= self._together(served, alike)
        return [outcomes[asked] for asked in batch]

    def _together(self, served: Served, alike: Sequence[Asked]) -> dict[Asked, pl.DataFrame | Exception]:
        try:
            require_groups(served.model, alike[0].groups)
            rows = pl.concat([asked.rows for asked in alike])
            found, outcomes, start = scored(served.model, rows, alike[0].groups), {}, 0
            for asked in alike:
                outcomes[asked] = found.slice(start, asked.rows.height)
                start += asked.rows.height
            self.measures.batch(rows.height)
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (each hears of its own fault)
            if len(alike) == 1:
                return {alike[0]: error if isinstance(error, Exception) else RuntimeError(str(error))}
            return {asked: outcome for one in alike for asked, outcome in self._together(served, [one]).items()}
        return dict(outcomes)

    def _follow_up(self, served: Served, answered: Sequence[tuple[Asked, pl.DataFrame]]) -> None:
        """The log and the shadow, which no request waits for."""
        moment, shadow = time.time(), self.versions.shadow
        if self.log is not None:
            for asked, found in answered:
                self.log.add(served.name, "answer", moment, asked.rows, found)
        if shadow is None or not answered:
            return
        if not self._room.acquire(blocking=False):
            self.measures.shadow_skipped(sum(asked.rows.height for asked, _ in answered))
            return
        self._aside.submit(self._shadow, shadow, answered, moment).add_done_callback(lambda _: self._room.release())

    def _shadow(self, shadow: Served, answered: Sequence[tuple[Asked, pl.DataFrame]], moment: float) -> None:
        outcomes = self._outcomes(shadow, [asked for asked, _ in answered])
        for (asked, found), outcome in zip(answered, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self.measures.shadow_failed(asked.rows.height)
                continue
            self.measures.shadow(found, outcome)
            if self.log is not None:
                self.log.add(shadow.name, "shadow", moment, asked.rows, outcome)

    def close(self) -> None:
        """Ends the threads, after the shadow has scored what waits for it."""
        self._model.shutdown(wait=True)
        self._aside.shutdown(wait=True)
