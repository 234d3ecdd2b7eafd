"""Faults in the real process: each is injected several times; prints how the commands ended.

    python -m benchmarks.faults [--tries 10] [--only FAULT ...] [--seed 0]

A fault hits a retrain of a few hundred rows at a random step. Then the same command runs again, without a fault.
Counted are: the fault is survived or named (no traceback), seconds from the fault to the end, processes that are left,
and whether the second run completes with one version. Writes `results/faults.json`; ends with 1 where a try went wrong.
The full disk needs the right to mount a tmpfs, too little memory that to make a control group.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from benchmarks.harness import RESULTS, facts
from benchmarks.recovery import ask, living

ROOT = Path(__file__).parents[1]

ROWS = 300
SETTINGS: dict[str, Any] = {
    "model": {"d_hidden": 8, "n_layers": 1, "n_heads": 2, "d_feedforward": 8, "pred_d": 4, "pred_n_layers": 1,
              "pred_n_heads": 2, "pred_d_feedforward": 8},
    "training": {"max_epochs": 2, "batch_size": 64, "warmup_epochs": 0.1},
    "generator": {"n_layers": 1, "max_steps": 20, "evaluations": 2, "assess_rows": 200},
}  # fmt: skip
"""A retrain in which every step is small."""

PATIENCE = 20
"""Seconds of `tracking.patience`, so that a try does not take minutes."""

LONGEST = 900
"""Seconds after which a command counts as hanging."""

PORT = 5987


@dataclass
class Job:
    """A folder with a job, and the command that runs it.

    Attributes:
        folder: contains all files of the command, those of Prefect and MLflow included.
        process: the command, once it was started.
        draw: random numbers of this try.
        fault: time at which the fault was injected.
        server: tracking server, where the fault needs one.
        helpers: other processes of the fault.
    """

    folder: Path
    draw: random.Random
    process: subprocess.Popen[bytes] | None = None
    fault: float = 0.0
    server: subprocess.Popen[bytes] | None = None
    helpers: tuple[subprocess.Popen[bytes], ...] = ()

    def start(self, *, cwd: Path | None = None, limit: int | None = None, **more: str) -> None:
        """Starts the command, in a control group of at most `limit` bytes of memory."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))}
        own = {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(self.folder / "prefect")}
        command = [sys.executable, "-m", "varjepa.flows.cli", "retrain", str(self.folder / "job.yaml"), "--json"]

        if limit is not None:
            command = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(self.group(limit) / "cgroup.procs"), *command]
        with (self.folder / "log").open("wb") as log, (self.folder / "out").open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=cwd or self.folder, env=kept | own | more, stdout=out, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.fault = time.monotonic()

    def group(self, limit: int) -> Path:
        """A control group whose memory is limited (versions 1 and 2)."""
        OWN_GROUP.mkdir(exist_ok=True)
        (OWN_GROUP / ("memory.max" if SECOND_VERSION else "memory.limit_in_bytes")).write_text(str(limit))
        return OWN_GROUP

    def wait_for(self, words: str) -> None:
        """Waits until the log has these words, or the command has ended."""
        while self.process is not None and self.process.poll() is None and words not in self.log:
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """What the command has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def begin_at_random(self) -> None:
        """Starts the command and waits for a random step, and then for up to half a second."""
        self.start()
        self.wait_for(self.draw.choice(STEPS))
        time.sleep(self.draw.uniform(0, 0.5))
        self.fault = time.monotonic()

    def serve(self) -> None:
        """Starts the tracking server of the job."""
        place = self.folder / "mlruns"
        words = ["--backend-store-uri", f"sqlite:///{place}/mlflow.db", "--artifacts-destination", str(place / "all")]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(PORT), "-w", "1"]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen([*command, *words], stdout=log, stderr=log, start_new_session=True)
        from varjepa.tasks.processes.health import require_answer

        for _ in range(600):
            with suppress(OSError):
                require_answer(f"http://127.0.0.1:{PORT}", seconds=5)
                return
            time.sleep(0.2)

    def end_server(self) -> None:
        """Kills the tracking server by its number."""
        if self.server is not None:
            for one in (*psutil.Process(self.server.pid).children(recursive=True), self.server):
                with suppress(psutil.Error):
                    one.kill()
            self.server.wait()
            self.server = None


STEPS = ("ingest starts", "validate starts", "preprocess starts", "pretrain starts", "generate starts", "probe starts",
         "calibrate starts", "assess starts", "explain starts")  # fmt: skip


def signalled(job: Job) -> None:
    """Ctrl-C or SIGTERM to the whole group."""
    job.begin_at_random()
    with suppress(ProcessLookupError):
        os.killpg(job.process.pid, job.draw.choice([signal.SIGINT, signal.SIGTERM]))  # type: ignore[union-attr]  # it was started


def killed(job: Job) -> None:
    """SIGKILL to the command alone."""
    job.begin_at_random()
    job.process.kill()  # type: ignore[union-attr]  # it has just been started


def prefect_killed(job: Job) -> None:
    """SIGKILL to Prefect's temporary server."""
    job.begin_at_random()
    for process in living(job.folder):
        with suppress(psutil.Error):
            if "prefect.server.api.server:create_app" in process.cmdline():
                process.kill()


def prefect_never_up(job: Job) -> None:
    """Prefect's temporary server cannot open its database."""
    job.start(PREFECT_SERVER_DATABASE_CONNECTION_URL="sqlite+aiosqlite:////proc/none/prefect.db")


def tracking_killed(job: Job) -> None:
    """SIGKILL to the tracking server."""
    job.serve()
    job.begin_at_random()
    job.end_server()


def database_locked(job: Job) -> None:
    """Another process locks the tracking database for 30 seconds."""
    job.begin_at_random()
    program = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None); "
        "c.execute('BEGIN EXCLUSIVE'); time.sleep(30)"
    )
    job.helpers = (subprocess.Popen([sys.executable, "-c", program, str(job.folder / "mlruns/mlflow.db")]),)


def disk_full(job: Job) -> None:
    """The work folder is a tmpfs of a few hundred kilobytes."""
    work = job.folder / "mlruns/work"
    work.mkdir(parents=True)
    size = job.draw.choice([16, 64, 150, 300])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(work)], check=True)
    job.start()


def memory_short(job: Job) -> None:
    """A control group with too little memory, or hardly enough."""
    job.start(limit=int(job.draw.uniform(400, 1200) * 2**20))


def machine_busy(job: Job) -> None:
    """Twelve processes that compute."""
    spin = [sys.executable, "-S", "-c", "while True: pass"]
    job.helpers = tuple(subprocess.Popen(spin) for _ in range(12))
    job.start()


FAULTS: dict[str, Callable[[Job], None]] = {
    "signal to the group": signalled, "command killed": killed, "prefect killed": prefect_killed,
    "prefect never up": prefect_never_up, "tracking killed": tracking_killed, "database locked": database_locked,
    "disk full": disk_full, "memory short": memory_short, "machine busy": machine_busy,
}  # fmt: skip

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""

SECOND_VERSION = (GROUPS / "cgroup.controllers").is_file()
"""Whether all limits of a group are in one folder; the first version has a tree of groups for each kind of limit."""

OWN_GROUP = (GROUPS if SECOND_VERSION else GROUPS / "memory") / f"faults-{os.getpid()}"
"""The control group of commands whose memory is limited."""

SILENT = ("command killed",)
"""Faults after which nobody can say anything."""


@dataclass(frozen=True)
class Outcome:
    """One fault and its consequences.

    Attributes:
        code: exit code of the command.
        seconds: from the fault to the end of the command.
        said: the message, or its last line where it ended well.
        traceback: whether there was one.
        orphans: processes that were left three seconds later.
        again: exit code of the second run.
        versions: registered, after it.
    """

    code: int
    seconds: float
    said: str
    traceback: bool
    orphans: int
    again: int
    versions: int

    def well(self, name: str) -> bool:
        """Whether all is as it should be."""
        # Of memory the system makes an end: then the last line of the log has named the cause.
        ended = self.code == 1 or (name == "memory short" and self.code < 0)
        named = name in SILENT or self.code == 0 or (ended and bool(self.said))
        return named and not self.traceback and not self.orphans and self.again == 0 and self.versions == 1


def injected(name: str, template: Path, draw: random.Random) -> Outcome:
    """Injects a fault into a fresh folder, and runs the command again."""
    with tempfile.TemporaryDirectory() as temporary:
        job = Job(Path(temporary) / "job", draw)
        shutil.copytree(template, job.folder)
        if name == "tracking killed":
            _on_server(job.folder / "job.yaml")
        try:
            FAULTS[name](job)
            code = job.process.wait(LONGEST)  # type: ignore[union-attr]  # every fault starts it
            seconds, said, log = time.monotonic() - job.fault, _message(job), job.log
            time.sleep(3)
            left = len(living(job.folder))
            _heal(job, name)
            job.start()
            again = job.process.wait(LONGEST)  # type: ignore[union-attr]  # it was started
            store = job.folder / "mlruns/mlflow.db"
            versions = len(ask(store, "select version from model_versions"))
            return Outcome(code, round(seconds, 1), said, "Traceback" in log, left, again, versions)
        finally:
            _clear(job)


def _heal(job: Job, name: str) -> None:
    """Ends the fault."""
    _clear(job)
    if name == "tracking killed":
        job.serve()


def _clear(job: Job) -> None:
    for helper in job.helpers:
        helper.kill()
        helper.wait()
    job.helpers = ()
    job.end_server()
    if job.process is not None and job.process.poll() is None:
        job.process.kill()
        job.process.wait()
    if os.path.ismount(job.folder / "mlruns/work"):
        subprocess.run(["umount", "-l", str(job.folder / "mlruns/work")], check=True)
    if OWN_GROUP.is_dir():
        OWN_GROUP.rmdir()


def _message(job: Job) -> str:
    lines = (job.folder / "out").read_text(encoding="utf-8").strip().splitlines()
    if lines:
        with suppress(json.JSONDecodeError):
            return str(json.loads(lines[-1]).get("error", "completed"))[:300]
    return next((line for line in reversed(job.log.splitlines()) if "of memory are left" in line), "")


def _on_server(file: Path) -> None:
    import yaml

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["tracking"] = {"uri": f"http://127.0.0.1:{PORT}", "patience": PATIENCE}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def people(rows: int) -> pl.DataFrame:
    """A table of numbers, categories and gaps, with a label that depends on them."""
    rng = np.random.default_rng(0)
    age, job = rng.integers(18, 90, rows), rng.choice(["clerk", "smith", "nurse"], rows)
    rich = (age + 20 * (job == "nurse") + rng.normal(0, 10, rows)) > 60
    income = np.where(rng.random(rows) < 0.1, np.nan, np.exp(rng.normal(8, 1, rows)).round(2))
    return pl.DataFrame({"age": age, "job": job, "income": income, "rich": np.where(rich, "yes", "no")}).fill_nan(None)


def make_template(folder: Path) -> None:
    """A folder with a job, and with databases that are migrated."""
    import yaml

    folder.mkdir()
    people(ROWS).write_csv(folder / "people.csv")
    content = {"data": {"path": "people.csv", "label": "rich"}, "registry": {"name": "people"}} | SETTINGS
    (folder / "job.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    job = Job(folder, random.Random(0))  # noqa: S311 (moments, no secrets)
    job.start()
    if job.process is None or job.process.wait(LONGEST):
        raise RuntimeError(job.log)
    for kept in ("artifacts", "work"):
        shutil.rmtree(folder / "mlruns" / kept, ignore_errors=True)
    from varjepa.tasks.tracking.store import client_for

    (folder / "mlruns/mlflow.db").unlink()
    client_for(f"sqlite:///{folder}/mlruns/mlflow.db")
    with sqlite3.connect(folder / "prefect/prefect.db") as prefect:
        prefect.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main() -> None:
    """Parses the arguments, injects, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--only", nargs="+", choices=[*FAULTS], default=[*FAULTS])
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    draw, results = random.Random(words.seed), dict[str, list[Outcome]]()  # noqa: S311 (moments, no secrets)
    with tempfile.TemporaryDirectory() as temporary:
        make_template(template := Path(temporary) / "template")
        for name in words.only:
            results[name] = []
            for _ in range(words.tries):
                results[name].append(injected(name, template, draw))
                print(f"{name}: {results[name][-1]}", flush=True)
            publish(results, words.tries, words.seed)
    sys.exit(any(not one.well(name) for name, outcomes in results.items() for one in outcomes))


def publish(results: dict[str, list[Outcome]], tries: int, seed: int) -> None:
    """Writes the counts so far, beside those of other faults, and prints those of the last fault."""
    counts = {}
    for name, outcomes in results.items():
        counts[name] = {
            "tries": len(outcomes), "well": sum(one.well(name) for one in outcomes),
            "exit codes": sorted(one.code for one in outcomes), "longest": max(one.seconds for one in outcomes),
            "tracebacks": sum(one.traceback for one in outcomes), "orphans": sum(one.orphans for one in outcomes),
            "second run completes": sum(one.again == 0 and one.versions == 1 for one in outcomes),
            "said": sorted({one.said for one in outcomes}),
        }  # fmt: skip
    file = RESULTS / "faults.json"
    earlier = json.loads(file.read_text(encoding="utf-8"))["faults"] if file.is_file() else {}
    command = f"python -m benchmarks.faults --tries {tries} --seed {seed}"
    content = facts() | {"command": command, "faults": earlier | counts}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {counts[name]['well']} of {len(outcomes)} well", flush=True)


if __name__ == "__main__":
    main()
