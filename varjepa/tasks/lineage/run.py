"""A flow as a run of OpenLineage."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from varjepa.errors import reason_of
from varjepa.tasks.lineage.record import Record, current


def configured() -> bool:
    """Whether OpenLineage is told where to send events: by its own variables of the environment, or by its file."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    variables = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
    if any(name in variables or name.startswith("OPENLINEAGE__") for name in os.environ):
        return True
    return any((folder / "openlineage.yml").is_file() for folder in (Path(), Path.home() / ".openlineage"))


@contextmanager
def lineage(command: str, name: str) -> Iterator[None]:
    """Sends events when the block begins and ends. Nothing that happens to them stops it.

    Args:
        command: of `varjepa`.
        name: model, or data sets.
    """
    if not configured():
        yield
        return
    from varjepa.tasks.lineage.send import send, wait

    record = Record(f"{command}.{name}", parent=current.get())
    token = current.set(record)
    send(record, "START")
    try:
        yield
    except Exception as error:
        send(record, "FAIL", reason_of(error))
        raise
    except BaseException as error:
        send(record, "ABORT", reason_of(error))
        raise
    else:
        send(record, "COMPLETE")
    finally:
        current.reset(token)
        if record.parent is None:
            wait()
