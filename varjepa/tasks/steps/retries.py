"""Rules for when a task is retried."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from varjepa.tasks.steps.orchestrated import StepTask, may_pass, task

_P = ParamSpec("_P")
_R = TypeVar("_R")


def retried_task(
    name: str, *, retries: int = 2, seconds: float = 2.0, **options: Any
) -> Callable[[Callable[_P, _R]], StepTask[_P, _R]]:
    """A task that is retried if that may help: after errors of a network, a lock or a worker, not of the user.

    Args:
        name: of the task, for people.
        retries: attempts after the first.
        seconds: delay before each retry.
        options: further arguments of `prefect.Task`.
    """
    return task(name=name, retries=retries, retry_delay_seconds=seconds, retry_condition_fn=may_help, **options)


def may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Prefect's retry condition; see `may_pass`."""
    try:
        state.result()
    except Exception as error:  # noqa: BLE001 (the task may have raised anything)
        return may_pass(error)
    return False
