"""Removes old flow runs of ours from Prefect, and the errors that it stored for them."""

import base64
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from varjepa.tasks.cleaning.policy import Policy, Removed, size_of
from varjepa.tasks.processes.owner import HOST

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

PAGE = 200
"""Runs read at a time."""

BULK = 50
"""Runs deleted at a time; Prefect takes no more."""

TAG = "varjepa"
"""Tag of scheduled runs; a run that was skipped before it began has no other."""


def clean_flow_runs(policy: Policy) -> list[Removed]:
    """Removes flow runs of `varjepa` that ended before the cutoff, with their logs.

    Without PREFECT_API_URL that is the local database of Prefect, which other programs may share: what they ran stays.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    from varjepa.tasks.orchestration.temporary_server import any_server

    settings = get_current_settings()
    local = settings.home / "prefect.db"
    if not settings.api.url and not local.exists():
        return []
    with any_server(), get_client(sync_client=True) as client:
        runs = list(_ended(client, policy.cutoff))
        for batch in [] if policy.dry_run else [runs[at : at + BULK] for at in range(0, len(runs), BULK)]:
            chosen = {"flow_runs": {"id": {"any_": [str(run.id) for run in batch]}}, "limit": BULK}
            # The client has no method for it; one by one takes a second each.
            client.request("POST", "/flow_runs/bulk_delete", json=chosen)  # type: ignore[arg-type]  # not in its list
    removed = [Removed("flow run", run.name, None, f"ended {run.end_time:%Y-%m-%d}") for run in runs]
    return removed + _stored_errors(settings.results.local_storage_path, policy)


def _ended(client: "SyncPrefectClient", cutoff: float) -> Iterator["FlowRun"]:
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.sorting import FlowRunSort

    before = FlowRunFilter.model_validate({
        "end_time": {"before_": datetime.fromtimestamp(cutoff, UTC)},
        "state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}},
    })  # fmt: skip
    offset = 0
    while page := client.read_flow_runs(
        flow_run_filter=before, sort=FlowRunSort.END_TIME_DESC, limit=PAGE, offset=offset
    ):
        yield from (run for run in page if any(tag == TAG or tag.startswith(HOST) for tag in run.tags))
        offset += PAGE


def _stored_errors(folder: Path, policy: Policy) -> list[Removed]:
    """Prefect stores the exception of a failed flow in a file, and never removes it. Nothing is unpickled here."""
    removed = []
    for file in folder.expanduser().glob("*"):
        with suppress(OSError, ValueError):
            if (
                file.is_file()
                and file.stat().st_mtime < policy.cutoff
                and TAG.encode() in base64.b64decode(file.read_bytes())
            ):
                removed.append(Removed("stored error", file.name, size_of(file), f"written {_date(file)}"))
                if not policy.dry_run:
                    file.unlink()
    return removed


def _date(file: Path) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(file.stat().st_mtime))
