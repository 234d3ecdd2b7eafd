"""Retrains that are killed at a random moment and resumed.

    python -m benchmarks.recovery DATA [--tries 20] [--seed 0] [--keep FOLDER]

DATA is the Adult table. First comes one uninterrupted retrain on one thread. Each try then uses an empty folder (also
for Prefect). A retrain is killed by SIGKILL at a moment drawn uniformly from the uninterrupted duration: its whole
process group or, every other time, only its main process. Then it is resumed to the end. Prints a table and writes
`results/recovery.json`; ends with 1 where a try left a trace.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.harness import RESULTS, facts

ROOT = Path(__file__).parents[1]
SETTINGS = (
    "data.rows=3000", "contract.path=null", "model.d_hidden=16", "model.n_layers=2", "model.d_feedforward=32",
    "training.max_epochs=4", "training.batch_size=128", "generator.n_layers=1", "generator.max_steps=60",
    "generator.assess_rows=300",
)  # fmt: skip
"""A retrain of Adult in less than a minute; every step is there."""

ANSWER = "answer.json"


@dataclass(frozen=True)
class Left:
    """The results of a finished retrain.

    Attributes:
        weights: digest of the model folder.
        metrics: of the answer.
        run_id: of the answer.
        runs: status of every tracking run.
        flow_runs: state of every Prefect run.
        versions: registered ones.
        logged: logged models.
        doubles: points of curves that are there more than once.
        processes: that still run.
        seconds: from start to end.
    """

    weights: str
    metrics: dict[str, float]
    run_id: str
    runs: list[str]
    flow_runs: list[str]
    versions: int
    logged: int
    doubles: int
    processes: int
    seconds: float


@dataclass(frozen=True)
class Try:
    """One kill and its consequences.

    Attributes:
        moment: seconds from the start to the kill.
        whole_group: whether the process group was killed, not the main process only.
        steps: that were finished at the kill.
        run: tracking run at the kill: its status, or "none".
        faults: what differs from the undisturbed retrain; empty is what should be.
        seconds: of the second start.
    """

    moment: float
    whole_group: bool
    steps: int
    run: str
    faults: list[str]
    seconds: float


def start(folder: Path, data: Path) -> subprocess.Popen[bytes]:
    """Starts a retrain in a folder that contains all of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    sets = [word for setting in (f"data.path={data.absolute()}", *SETTINGS) for word in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "varjepa.flows.cli",
        "retrain",
        str(ROOT / "configs" / "adult.yaml"),
        *sets,
        "--json",
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))}
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PREFECT_HOME": str(folder / "prefect")}
    # Files, no pipes: a temporary server that outlives its flow would hold them open.
    with (folder / "retrain.log").open("a") as log, (folder / ANSWER).open("w") as out:
        return subprocess.Popen(command, cwd=folder, env=kept | own, stdout=out, stderr=log, start_new_session=True)


def finish(folder: Path, data: Path) -> Left:
    """Retrains to the end and collects the results."""
    began = time.perf_counter()
    process = start(folder, data)
    process.wait()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"the retrain in {folder} ended with {process.returncode}")
    answer = json.loads((folder / ANSWER).read_text().splitlines()[-1])
    (model,) = folder.glob("mlruns/work/assemble-*/model")
    weights = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(model.iterdir()))).hexdigest()
    tracking, prefect = folder / "mlruns" / "mlflow.db", folder / "prefect" / "prefect.db"
    doubles = "select key from metrics where run_uuid = ? group by key, step having count(*) > 1"
    return Left(
        weights, answer["metrics"], answer["run_id"],
        [status for (status,) in ask(tracking, "select status from runs")],
        [state for (state,) in ask(prefect, "select state_type from flow_run")],
        len(ask(tracking, "select version from model_versions")),
        len(ask(tracking, "select model_id from logged_models where lifecycle_stage = 'active'")),
        len(ask(tracking, doubles, answer["run_id"])), len(living(folder)), seconds,
    )  # fmt: skip


def ask(database: Path, query: str, *values: str) -> list[Any]:
    """Rows of a database."""
    with sqlite3.connect(database) as connection:
        return connection.execute(query, values).fetchall()


def living(folder: Path) -> list[psutil.Process]:
    """Processes that belong to a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT_HOME") == str(folder / "prefect"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def killed(folder: Path, data: Path, moment: float, *, whole_group: bool) -> tuple[int, str] | None:
    """Kills a retrain; returns its finished steps and the status of its run, or None if it had already finished."""
    process = start(folder, data)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        if (folder / ANSWER).read_text().strip():
            return None
    else:
        return None
    steps, tracking = len(list(folder.glob("mlruns/work/*/result.json"))), folder / "mlruns" / "mlflow.db"
    runs = ask(tracking, "select status from runs") if tracking.is_file() else []
    return steps, runs[0][0] if runs else "none"


def faults(left: Left, whole: Left) -> list[str]:
    """How a killed and resumed retrain differs from the uninterrupted one."""
    found = {
        "other weights": left.weights != whole.weights,
        "other metrics": left.metrics != whole.metrics,
        f"runs {', '.join(left.runs)}": left.runs != ["FINISHED"],
        f"{left.versions} versions": left.versions != 1,
        f"{left.logged} logged models": left.logged != 1,
        f"{left.doubles} doubled points": left.doubles > 0,
        f"Prefect runs {', '.join(left.flow_runs)}": not set(left.flow_runs) <= {"COMPLETED", "CRASHED"},
        f"{left.processes} processes": left.processes > 0,
    }
    return [what for what, wrong in found.items() if wrong]


def main() -> None:
    """Parses the arguments, kills, resumes, reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    words = parser.parse_args()
    draw, tries = random.Random(words.seed), list[Try]()  # noqa: S311 (moments, no secrets)
    with tempfile.TemporaryDirectory() as temporary:
        home = words.keep or Path(temporary)
        whole = finish(home / "whole", words.data)
        print(f"undisturbed: {whole.seconds:.1f} s, faults: {faults(whole, whole) or 'none'}", flush=True)
        limit = whole.seconds
        while len(tries) < words.tries:
            moment, group, folder = draw.uniform(0, limit), len(tries) % 2 == 0, home / str(time.time_ns())
            found = killed(folder, words.data, moment, whole_group=group)
            if found is None:
                print(f"{moment:6.1f} s: had answered, drawn again", flush=True)
                limit = min(limit, moment)  # the machine has become faster
                continue
            left = finish(folder, words.data)
            tries.append(Try(round(moment, 1), group, *found, faults(left, whole), round(left.seconds, 1)))
            publish(whole, tries, words.seed)
    sys.exit(any(t.faults for t in tries))


def publish(whole: Left, tries: list[Try], seed: int) -> None:
    """Writes the results so far."""
    content = facts() | {
        "command": f"python -m benchmarks.recovery adult.csv.gz --tries {len(tries)} --seed {seed}",
        "settings": SETTINGS, "undisturbed_seconds": round(whole.seconds, 1), "tries": [asdict(t) for t in tries],
        "without_a_trace": sum(not t.faults for t in tries),
    }  # fmt: skip
    (RESULTS / "recovery.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"{moment_line(tries[-1])}   {content['without_a_trace']} of {len(tries)} left no trace", flush=True)


def moment_line(one: Try) -> str:
    """One try as a line of text."""
    who = "group" if one.whole_group else "process"
    what = f"{one.steps} steps done, run {one.run}"
    return f"{one.moment:6.1f} s  {who:7}  {what:28}  {', '.join(one.faults) or 'no trace':9}"


if __name__ == "__main__":
    main()
