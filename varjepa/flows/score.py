"""Scoring a table of many files as a flow: one task per file, on the chosen runner."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from varjepa.config.uris import is_local
from varjepa.inference.storage import load_model, model_digest
from varjepa.machine import cores
from varjepa.tasks.answers.tables import FileAnswer
from varjepa.tasks.lineage.run import lineage
from varjepa.tasks.lineage.tables import model_in
from varjepa.tasks.orchestration.recorded_flow import flow
from varjepa.tasks.orchestration.runners import one_thread_each, shared_server, task_runner
from varjepa.tasks.registry.open_model import model_folder
from varjepa.tasks.scoring.lineage import note_files
from varjepa.tasks.scoring.many_files import Job, parts_of, score_part, threads_each, waiting
from varjepa.tasks.scoring.objects import object_parts, unscored_objects
from varjepa.tasks.sources.address import expanded
from varjepa.tasks.steps.time_left import collected

Pair = tuple[Path | str, Path | str]
"""A file or object, and the place of its scores."""


def score_files(
    model: str, source: str, out: str, columns: tuple[str, ...], keep: tuple[str, ...], *,
    runner: str, workers: int, dask_address: str | None, options: dict[str, Any],
) -> FileAnswer:  # fmt: skip
    """Scores every file of a folder or glob into a folder; returns the object that `varjepa score --runner --json`
    prints.

    Args:
        model: as for `varjepa score`.
        source: file, folder or glob; or the same of an object store, which workers without our folders reach.
        out: folder, or one of an object store; files whose scores it already contains are skipped.
        columns: groups of columns to write.
        keep: columns of the files to copy.
        runner: processes, threads or dask.
        workers: files scored in parallel; 0 means one per core.
        dask_address: scheduler of a running Dask cluster.
        options: tracking_uri, device, precision, batch_size and force, as the command line has them.

    Raises:
        UserError: the model, the files or the folder is invalid.
    """
    folder = model_folder(model, options["tracking_uri"])
    job = Job(
        model, options["tracking_uri"], options["device"], options["precision"], model_digest(folder), columns, keep,
        options["batch_size"], threads_each(runner, workers),
        # Workers that read the folder import no MLflow to find it, which takes seconds each.
        None if runner == "dask" and dask_address else str(folder.absolute()),
    )  # fmt: skip
    load_model(folder, "cpu")  # an unreadable model fails here once, not in every worker
    files, unscored = _files(source, out, job, force=options["force"])
    started = time.perf_counter()
    scored: list[FileAnswer] = []
    with lineage("score", model_in(model)):
        if unscored:  # otherwise no server needs to start
            at_once = task_runner(runner, min(workers or cores(), len(unscored)), dask_address)
            with one_thread_each() if runner == "threads" else nullcontext(), shared_server(runner, dask_address):
                scored = score_all.with_options(task_runner=at_once)(unscored, job)
        rows = sum(part["rows"] for part in scored)
        note_files(model, options["tracking_uri"], source, str(out), rows)
    seconds = time.perf_counter() - started
    result: FileAnswer = {
        "rows": rows, "files": files, "scored": len(scored), "out": out, "seconds": round(seconds, 2),
        "rows_per_second": round(rows / max(seconds, 1e-9)),
    }  # fmt: skip
    if rows and all("accepted" in part for part in scored):
        result["accepted"] = sum(part.get("accepted", 0.0) * part["rows"] for part in scored) / rows
    return result


def _files(source: str, out: str, job: Job, *, force: bool) -> tuple[int, list[Pair]]:
    """Number of files of the table, and those to score, each with the place of its scores."""
    if is_local(out) and is_local(place := expanded(source)):
        parts = parts_of(place, Path(out))
        return len(parts), [*waiting(parts, job, Path(out), force=force)]
    objects = object_parts(expanded(source), out)
    unscored = unscored_objects(objects, job, out, force=force)
    return len(objects), [(part.source, part.out) for part in unscored]


@flow(name="score", flow_run_name="score {job.model}")
def score_all(parts: list[Pair], job: Job) -> list[FileAnswer]:
    """Scores files in parallel; returns a summary of each."""
    return collected([score_part.submit(source, out, job) for source, out in parts], "files")
