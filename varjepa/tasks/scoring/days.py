"""Scores of past days: one file for each, by `{{ run_date }}` in IN and OUT."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from varjepa.errors import DataError
from varjepa.inference.model import TrainedModel
from varjepa.tasks.answers.tables import ScoredDayAnswer, ScoredDaysAnswer
from varjepa.tasks.destinations.destination import is_written
from varjepa.tasks.scoring.one_file import Request, score
from varjepa.tasks.sources.run_day import with_day
from varjepa.tasks.steps.log import log


def score_days(
    model: TrainedModel, request: Request, groups: tuple[str, ...], days: Sequence[date]
) -> ScoredDaysAnswer:
    """Scores the rows of every day that has no file yet. A day whose rows cannot be read does not stop the others.

    Args:
        model: the model.
        request: IN and OUT with templates; `force` writes all days again.
        groups: groups of columns.
        days: oldest first.
    """
    started = time.perf_counter()
    scored = [_scored(model, _of_day(request, day), groups, day) for day in days]
    return {"days": scored, "seconds": round(time.perf_counter() - started, 2)}


def _of_day(request: Request, day: date) -> Request:
    values = {
        name: with_day(value, day) if isinstance(value, str) else value
        for name, value in request.reading.get("parameters", {}).items()
    }
    reading = {**request.reading, "parameters": values} if values else request.reading
    return replace(request, source=with_day(request.source, day), out=with_day(request.out, day), reading=reading)


def _scored(model: TrainedModel, request: Request, groups: tuple[str, ...], day: date) -> ScoredDayAnswer:
    answer: ScoredDayAnswer = {
        "day": day.isoformat(), "state": "skipped", "reason": "", "rows": 0, "out": request.out
    }  # fmt: skip
    if not request.force and is_written(request.out):
        return {**answer, "reason": "its file is there already"}
    try:
        rows = score(model, request, groups)["rows"]
    except DataError as error:
        log.warning("%s: %s", day, error)
        return {**answer, "state": "failed", "reason": str(error)}
    log.info("%s: %s rows", day, f"{rows:,}")
    return {**answer, "state": "scored", "rows": rows}
