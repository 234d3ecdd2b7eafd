"""Removes results, checkpoints and leases from a work store that no machine has used for long."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from varjepa.tasks.cleaning.policy import Policy, Removed
from varjepa.tasks.joint_training.call import CALLS
from varjepa.tasks.sources.failures import reaching
from varjepa.tasks.steps.reuse import DONE
from varjepa.tasks.work_store.lease import LEASES, in_progress
from varjepa.tasks.work_store.partial import FOLDER
from varjepa.tasks.work_store.place import CLOCK, Item, Place

DAY = 86_400

SIGNS = timedelta(days=2)
"""Signs of life of a job may be a day apart (`work.lost_after`, `work.checkpoint_seconds`): leases, checkpoints."""


def clean_work_store(place: Place, policy: Policy) -> list[Removed]:
    """Removes folders of steps that were last made or reused before the cutoff, on whatever machine.

    A machine that downloads one of them at this moment makes it again.
    """
    removed, cutoff = list[Removed](), datetime.fromtimestamp(policy.cutoff, UTC)
    lately = min(cutoff, datetime.now(UTC) - SIGNS)
    with reaching(f"The work store {place.uri}", "used"):
        running = in_progress(place, lately)
        for name, items in _things(place):
            if not items:  # another machine removes it just now
                continue
            used = max(item.changed for item in items)
            # What a job works on stays, and so does what it has made or read since it began.
            if used >= (lately if running or "/" in name else cutoff):
                continue
            size, days = sum(item.size for item in items), (datetime.now(UTC) - used).total_seconds() / DAY
            removed.append(Removed("shared result", f"{place.uri}/{name}", size, f"last used {days:.0f} days ago"))
            if not policy.dry_run:
                # The result first: what is left after an interruption is not taken for one.
                place.delete(sorted((item.key for item in items), key=lambda key: not key.endswith(f"/{DONE}")))
    return removed


def _things(place: Place) -> Iterator[tuple[str, list[Item]]]:
    """Folders of results, and what lies below common folders: leases, calls, unfinished steps; with all objects."""
    for name in place.folders():
        items = place.items(name)
        if name not in (LEASES, FOLDER, CLOCK, CALLS):
            yield name, items
            continue
        for folder in sorted({item.key.split("/")[1] for item in items}):
            inside = f"{name}/{folder}"
            yield inside, [item for item in items if item.key == inside or item.key.startswith(f"{inside}/")]
