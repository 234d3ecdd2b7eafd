"""Removes what the policy allows from the work folder, the work store, the tracking store and Prefect."""

from collections import Counter

from varjepa.config import RetrainConfig
from varjepa.config.durations import duration
from varjepa.tasks.answers.registry import CleanAnswer
from varjepa.tasks.cleaning.flow_runs import clean_flow_runs
from varjepa.tasks.cleaning.policy import Policy
from varjepa.tasks.cleaning.versions import clean_store
from varjepa.tasks.cleaning.work import clean_work
from varjepa.tasks.cleaning.work_store import clean_work_store
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.uris import database_file, tracking_uri
from varjepa.tasks.work_store.opened import opened_place, work_uri


def clean_after(config: RetrainConfig) -> CleanAnswer | None:
    """What a schedule does after a run: removes what `retention` of its configuration allows.

    A failure is logged only: the run itself has ended well.
    """
    if not config.retention.active:
        return None
    older = None if config.retention.older is None else duration(config.retention.older)
    try:
        policy = Policy(config.retention.keep, older, name=config.registry.name)
        return clean(tracking_uri(config.tracking), policy, work_uri(config.work))
    except Exception as error:  # noqa: BLE001 (whatever it is, the next run cleans again)
        log.warning("clean: failed and is tried again after the next run: %s", error)
        return None


def clean(uri: str, policy: Policy, work: str | None = None) -> CleanAnswer:
    """Removes what the policy allows, and says what.

    Args:
        uri: tracking store.
        policy: what to keep.
        work: URI of the work store; None if there is none.

    Raises:
        UserError: the tracking store or the work store cannot be reached.
    """
    removed = clean_work(policy)
    if work is not None:
        removed += clean_work_store(opened_place(work), policy)
    database, kept = database_file(uri), list[str]()
    if database is None or database.exists():  # cleaning makes no store
        found, kept = clean_store(uri, policy)
        removed += found
    removed += clean_flow_runs(policy)
    for sentence in kept:
        log.warning("%s", sentence)
    counts = ", ".join(f"{count} x {kind}" for kind, count in Counter(one.kind for one in removed).items())
    log.info("clean: %s %s", "would remove" if policy.dry_run else "removed", counts or "nothing")
    return {
        "dry_run": policy.dry_run, "removed": [one.as_answer() for one in removed],
        "bytes": sum(one.size or 0 for one in removed), "kept": kept,
    }  # fmt: skip
