"""Rules for when Prefect retries a task."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task

from varjepa.errors import VarjepaError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def retried_task(
    name: str, *, retries: int = 2, seconds: float = 2.0, **options: Any
) -> Callable[[Callable[_P, _R]], Task[_P, _R]]:
    """A Prefect task that is retried if that may help: after errors of a network, a lock or a worker, not of the user.

    Args:
        name: of the task, for people.
        retries: attempts after the first.
        seconds: delay before each retry.
        options: further arguments of `prefect.task`.
    """
    return task(name=name, retries=retries, retry_delay_seconds=seconds, retry_condition_fn=may_help, **options)


def may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Prefect's retry condition: a retry cannot correct the user's input, but a server may answer again."""
    try:
        state.result()
    except VarjepaError as error:
        return error.may_pass
    except Exception:  # noqa: BLE001 (the task may have raised anything)
        return True
    return False
