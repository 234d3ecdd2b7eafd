"""A week of a model that is left running, in minutes: does every message come once, and does the page tell the story?

    python -m benchmarks.week [--day 60s] [--keep FOLDER]

Starts MLflow's server, `varjepa schedule --server` and `varjepa watch` in an empty folder; a run of the schedule is a
day. Messages go to a mail server and to a web hook of this process. A story changes the table and answers messages as a
person would: three data changes, a broken contract, a worse model, better ones that wait for approval, a killed run,
drift, a rollback. At the end a whole day more must bring no further message. Writes `results/week.json`; ends with 1
where a message is missing, comes twice or out of order, or the page of the model's life lacks a part of the story.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import polars as pl
import psutil
import yaml

from benchmarks.faults import SETTINGS
from benchmarks.harness import RESULTS, facts
from benchmarks.soak import ROOT, free_port
from varjepa.config.durations import duration

ROWS = 1200
LONGEST = 900.0
"""Seconds until an expected message counts as missing."""

WAITS, CHAMPION = "a version waits for approval", "a new champion"
CONTRACT = {"age": {"kind": "numeric", "min": 18, "max": 120}, "rich": {"kind": "categorical", "values": ["no", "yes"]}}


@dataclass
class Received:
    """Messages in the order of their arrival, per channel: seconds since the beginning, title, text."""

    began: float = field(default_factory=time.monotonic)
    hook: list[tuple[float, str, str]] = field(default_factory=list)
    mail: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, channel: list[tuple[float, str, str]], title: str, text: str) -> None:
        """Keeps a message."""
        channel.append((round(time.monotonic() - self.began, 1), title, text))
        print(f"{channel[-1][0]:7.1f}  {'hook' if channel is self.hook else 'mail'}  {title}", flush=True)


@contextmanager
def receivers(received: Received) -> Iterator[str]:
    """Addresses of a web hook and a mail server, as apprise reads them."""
    from aiosmtpd.controller import Controller

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.note(received.hook, body["title"], body["message"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    class Mailbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802 (the interface of aiosmtpd)
            mail = message_from_bytes(envelope.content, policy=policy.default)
            received.note(received.mail, str(mail["subject"]), str(mail.get_body(("plain",))))
            return "250 OK"

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=hook.serve_forever, daemon=True).start()
    port = free_port()
    mails = Controller(Mailbox(), hostname="127.0.0.1", port=port)
    mails.start()
    try:
        mail = f"mailto://127.0.0.1:{port}/?from=varjepa@example.com&to=team@example.com&mode=insecure"
        yield f"json://127.0.0.1:{hook.server_port}/hook {mail}"
    finally:
        mails.stop()
        hook.shutdown()


class Week:
    """The folder of a job, its processes, and what a person does.

    Args:
        folder: empty.
        day: seconds between two runs of the schedule.
        received: messages.
        urls: of the receivers.
    """

    def __init__(self, folder: Path, day: float, received: Received, urls: str) -> None:
        self.folder, self.day, self.received, self.ports = folder, day, received, (free_port(), free_port())
        self.expected: list[str] = []
        self.story: list[dict[str, Any]] = []
        self.store = f"http://127.0.0.1:{self.ports[0]}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
        self.environment = kept | {
            "PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
            "PREFECT_RUNNER_POLL_FREQUENCY": "2", "TEAM_URLS": urls,
        }  # fmt: skip
        write_job(folder, self.store)

    @contextmanager
    def process(self, name: str, *words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process that lasts as long as the block."""
        with (self.folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *words], cwd=self.folder, env=self.environment | environment, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=120)

    def varjepa(self, *words: str) -> None:
        """A command of a person.

        Raises:
            RuntimeError: it failed.
        """
        done = subprocess.run(
            [sys.executable, "-m", "varjepa.flows.cli", *words, "--tracking-uri", self.store], cwd=self.folder,
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr[-1000:]}")

    def expect(self, what: str, *titles: str) -> None:
        """Waits until these messages have come by both channels.

        Raises:
            RuntimeError: one has not come.
        """
        self.expected += [f"varjepa: {title}" for title in titles]
        self.story.append({"what": what, "messages": [f"varjepa: {title}" for title in titles]})
        count = len(self.expected)
        wait(lambda: min(len(self.received.hook), len(self.received.mail)) >= count, f"{what}: {titles}")

    def approve(self, version: int, why: str) -> None:
        """Approves the version that waits."""
        self.varjepa("approve", f"models:/people/{version}", "--why", why)
        self.expect(f"version {version} is approved", f"people {version}: {CHAMPION}")


def write_job(folder: Path, store: str) -> None:
    """The config and the contract."""
    content = SETTINGS | {
        "data": {"path": "people.csv", "label": "rich"}, "registry": {"name": "people"},
        "contract": {"path": "contract.yaml"}, "probe": {"head": "linear"}, "tracking": {"uri": store},
        # Models as good as each other pass: the test rows of so small a table cannot show a smaller margin.
        "gate": {"approve": "person", "margin": 0.1, "metric": "accuracy"},
        "training": SETTINGS["training"] | {"max_epochs": 10},
        "watch": {"path": "arrived.csv", "silent_after": "1h"}, "notify": [{"urls": "TEAM_URLS"}],
    }  # fmt: skip
    (folder / "job.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "contract.yaml").write_text(yaml.safe_dump({"columns": CONTRACT}), encoding="utf-8")


def write_table(folder: Path, seed: int, *, wrong: float = 0.0, older: int = 0, name: str = "people.csv") -> None:
    """Replaces a table in one step.

    Args:
        folder: of the job.
        seed: of its rows.
        wrong: share of labels that are drawn at random.
        older: years added to every age.
        name: of the file.
    """
    rng = np.random.default_rng(seed)
    age, job = rng.integers(18, 90, ROWS), rng.choice(["clerk", "smith", "nurse"], ROWS)
    rich = age + 20 * (job == "nurse") + rng.normal(0, 5, ROWS) > 60
    rich = np.where(rng.random(ROWS) < wrong, rng.random(ROWS) < 0.5, rich)
    income = np.exp(rng.normal(8, 1, ROWS)).round(2)
    table = pl.DataFrame({"age": age + older, "job": job, "income": income, "rich": np.where(rich, "yes", "no")})
    unfinished = folder / f"{name}.part"
    (table if name == "people.csv" else table.drop("rich")).write_csv(unfinished)
    unfinished.replace(folder / name)


def wait(done: Callable[[], Any], what: str, seconds: float = LONGEST) -> Any:
    """Waits until something is so, and returns it.

    Raises:
        RuntimeError: it never was.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := done():
            return found
        time.sleep(0.5)
    raise RuntimeError(f"never: {what}")


def play(week: Week) -> None:
    """The story."""
    folder = week.folder
    week.expect("Monday: a first version from doubtful labels", f"people 1: {WAITS}")
    week.approve(1, "better than nothing")
    write_table(folder, 1)
    week.expect("Tuesday: the labels were corrected (first data change)", f"people 2: {WAITS}")
    week.approve(2, "checked with the sales team")
    write_table(folder, 2, older=100)
    week.expect("Wednesday: everybody is a hundred years older", "people: the data broke its contract")
    write_table(folder, 3, wrong=1.0)
    week.expect("Thursday: labels at random (second data change)", "people 3: the gate refused the new version")
    write_table(folder, 4)
    kill_the_next_run(week)
    week.expect("Friday: new rows (third data change), and the run is killed", "people: the run failed")
    week.expect("Friday: the next run resumes it", f"people 4: {WAITS}")
    week.approve(4, "as good as the one before, on newer rows")
    write_table(folder, 5, older=12, name="arrived.csv")
    week.expect("Saturday: those who come are twelve years older", "people: new rows have drifted")
    write_table(folder, 6, name="arrived.csv")  # a rollback would compare those of Saturday with another champion
    wait(lambda: comparisons(week.store) > 0 and newest_is_calm(week.store), "a calm comparison")
    week.varjepa("rollback", "people")
    week.expect("Sunday: somebody goes back to the champion before", f"people 2: {CHAMPION}")
    time.sleep(1.5 * week.day)  # a run more of each must bring nothing


def kill_the_next_run(week: Week) -> None:
    """Kills the process of the next retrain as soon as its run is there."""
    retrains = "tags.`varjepa.step` = 'retrain'"
    last = runs(week.store, retrains)[0]["info"]["start_time"]  # it has told people, but may not have ended
    asked = f"attributes.status = 'RUNNING' and {retrains} and attributes.start_time > {last}"
    (run, *_) = wait(lambda: runs(week.store, asked), "a retrain in progress")
    owner = next(tag["value"] for tag in run["data"]["tags"] if tag["key"] == "varjepa.process")
    psutil.Process(int(owner.partition("@")[0])).kill()


def runs(store: str, asked: str) -> list[dict[str, Any]]:
    """Runs of the tracking server, newest first."""
    body = {"experiment_ids": ["1"], "filter": asked, "order_by": ["attributes.start_time DESC"], "max_results": 100}
    return list(httpx.post(f"{store}/api/2.0/mlflow/runs/search", json=body).json().get("runs", []))


def comparisons(store: str) -> int:
    """How often new rows were compared."""
    return len(runs(store, "attributes.status = 'FINISHED' and tags.`varjepa.step` = 'drift'"))


def newest_is_calm(store: str) -> bool:
    """Whether the last comparison found no drift."""
    newest = runs(store, "attributes.status = 'FINISHED' and tags.`varjepa.step` = 'drift'")[0]
    return {"key": "varjepa.drift", "value": "none"} in newest["data"]["tags"]


def life(week: Week) -> str:
    """The page of the model's life, as the tracking server has it."""
    from mlflow import MlflowClient

    client = MlflowClient(week.store)
    newest = max(client.search_model_versions("name = 'people'"), key=lambda version: int(version.version))
    return Path(client.download_artifacts(str(newest.run_id), "life.html")).read_text(encoding="utf-8")


def told(page: str) -> dict[str, bool]:
    """Whether the page has each part of the story."""
    words = {
        "four versions, and the champion of Tuesday again": "4 versions, version 2 is the champion",
        "one alarm": ", 1 alarm.", "the contract": "contract",
        "why one was refused": "not promoted", "who approved and why": "approved: checked with the sales team",
        "the rollback": "rolled back by 1 step",
    }  # fmt: skip
    return {what: text in page for what, text in words.items()}


def study(folder: Path, day: float) -> dict[str, Any]:
    """Plays the week; returns what came of it."""
    received = Received()
    with ExitStack() as stack:
        week = Week(folder, day, received, stack.enter_context(receivers(received)))
        write_table(folder, 0, wrong=0.6)
        write_table(folder, 6, name="arrived.csv")
        server = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(week.ports[0]), "-w", "1",
                  "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts")  # fmt: skip
        stack.enter_context(week.process("mlflow", *server, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"))
        wait(lambda: answers(f"{week.store}/health"), "MLflow's server")
        served = ("job.yaml", "--interval", f"{day:g}s")
        command = ("varjepa.flows.cli", "schedule", *served, "--server", "--port", str(week.ports[1]))
        stack.enter_context(week.process("schedule", *command))
        api = f"http://127.0.0.1:{week.ports[1]}/api"
        wait(lambda: answers(f"{api}/health"), "Prefect's server")
        stack.enter_context(week.process("watch", "varjepa.flows.cli", "watch", *served, PREFECT_API_URL=api))
        play(week)
        page = life(week)
        (folder / "life.html").write_text(page, encoding="utf-8")
        hook, mail = ([title for _, title, _ in channel] for channel in (received.hook, received.mail))
        return {
            "story": week.story, "expected": week.expected,
            "received": [{"seconds": seconds, "title": title, "text": text} for seconds, title, text in received.hook],
            "checks": {"web hook: each once, in order": hook == week.expected,
                       "mail: each once, in order": mail == week.expected} | told(page),
        }  # fmt: skip


def answers(url: str) -> bool:
    """Whether a server answers."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def main() -> None:
    """Plays the week, and stores what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.week", description=__doc__)
    parser.add_argument("--day", default="60s", help="time between two runs of the schedule")
    parser.add_argument("--keep", type=Path, help="folder to work in, which stays")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (words.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        result = study(folder, duration(words.day).total_seconds())
    made = {"command": f"python -m benchmarks.week --day {words.day}", "seconds": round(time.monotonic() - began)}
    (words.out / "week.json").write_text(json.dumps(facts() | made | result, indent=1) + "\n", encoding="utf-8")
    for what, passed in result["checks"].items():
        print(f"{'ok    ' if passed else 'FAILED'}  {what}")
    sys.exit(not all(result["checks"].values()))


if __name__ == "__main__":
    main()
