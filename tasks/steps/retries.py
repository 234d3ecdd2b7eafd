"""When Prefect should try a task again."""

from typing import Any

from varjepa.errors import VarjepaError


def may_help(_task: Any, _run: Any, state: Any) -> bool:
    """Prefect retry condition: the user's input does not get better by asking again; a network or a lock may."""
    try:
        state.result()
    except VarjepaError:
        return False
    except Exception:  # noqa: BLE001 (the condition looks at whatever the task raised)
        return True
    return False
