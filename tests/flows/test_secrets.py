"""Canary secrets in every place that a secret may stand; not a byte that is written holds one."""

import json
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import yaml

from tests.flows.conftest import caller, person_table, write_job
from tests.forked import Forks, Start

CODE = Path(__file__).parents[2]
CANARY = "Kanari3n-v0gel"
HARD = f"p/{CANARY}#s?s@w"


def holding(folder: Path, secret: str) -> list[Path]:
    """The files below a folder that hold a secret."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.fixture(scope="module")
def store(postgres_server: str) -> SimpleNamespace:
    """A database for MLflow on a server with a password, and all its texts at the end."""
    import psycopg2

    server = postgres_server.rpartition("/")[0]
    with closing(psycopg2.connect(postgres_server)) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE DATABASE secrets")

    def texts() -> str:
        with closing(psycopg2.connect(f"{server}/secrets")) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            names = [name for (name,) in cursor.fetchall()]
            found = []
            for name in names:
                cursor.execute(f'SELECT * FROM "{name}"')
                found += [str(row) for row in cursor.fetchall()]
            return "\n".join(found)

    return SimpleNamespace(
        uri=f"{server}/secrets", password=server.partition("varjepa:")[2].partition("@")[0], texts=texts
    )


@pytest.fixture(scope="module")
def retrained(
    store: SimpleNamespace, forks: Forks, prefect_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """A retrain in a process of its own, with secrets in its environment; the arguments of all its processes."""
    home = tmp_path_factory.mktemp("secrets")
    for folder in ("tmp", "prefect"):
        (home / folder).mkdir()
    (home / "prefect/prefect.db").write_bytes(prefect_database.read_bytes())
    quick = {"generator": {"n_layers": 0}, "probe": {"head": "linear"}}
    job = write_job(home, person_table(200), data={"label": "rich"}, **quick)
    environment = {
        "HOME": str(home), "TMPDIR": str(home / "tmp"), "PREFECT_HOME": str(home / "prefect"),
        "MLFLOW_TRACKING_URI": store.uri, "SHOP_PASSWORD": CANARY, "AWS_SECRET_ACCESS_KEY": CANARY,
        "SHOP": f"postgresql://me:{CANARY}@127.0.0.1:9/shop",
    }  # fmt: skip
    running = forks.start(Start(["retrain", str(job), "--json"], str(home), environment))
    arguments: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.3):
            for process in psutil.Process().children(recursive=True):
                try:
                    arguments.update(process.cmdline())
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = running.said()
    ended.set()
    watcher.join()
    return SimpleNamespace(home=home, code=said.code, out=said.out, err=said.err, arguments=arguments)


@pytest.mark.slow
def test_a_retrain_on_a_store_with_a_password_writes_it_nowhere(retrained, store) -> None:
    assert retrained.code == 0, retrained.err
    assert json.loads(retrained.out.splitlines()[-1])["model"]["version"] == 1
    assert len(list(retrained.home.rglob("*"))) > 50
    database = store.texts()
    assert "people" in database
    for secret in (store.password, CANARY):
        assert secret not in retrained.out + retrained.err
        assert not [text for text in retrained.arguments if secret in text]
        assert secret not in database
        assert holding(retrained.home, secret) == []


ENVIRONMENT = {
    "MLFLOW_TRACKING_URI": f"postgresql://me:{HARD}@127.0.0.1:9/mlflow",
    "PREFECT_API_URL": f"http://me:{HARD}@127.0.0.1:9/api",
    "SHOP": f"postgresql://me:{HARD}@127.0.0.1:9/shop#t", "PAGE": f"http://me:{CANARY}@127.0.0.1:9/a.csv?sig={CANARY}",
    "PASSWORD": HARD,
}  # fmt: skip
URI = f"postgresql://me:{HARD}@127.0.0.1:9/db"
COMMANDS = {
    "a config": ["retrain", "uri.yaml"], "a config with artifacts": ["retrain", "artifacts.yaml"],
    "a config with data": ["retrain", "data.yaml"],
    "an override": ["retrain", "job.yaml", "--set", f"tracking.uri={URI}"],
    "an override of no key": ["retrain", "job.yaml", "--set", URI],
    "another key": ["retrain", "job.yaml", "--set", f"{URI}=3"],
    "an unknown key": ["retrain", "job.yaml", "--set", f"tracking.password={CANARY}"],
    "a config that is none": ["retrain", f"https://me:{CANARY}@host/job.yaml"], "data": ["init", f"{URI}#t"],
    "signed data": ["init", f"https://127.0.0.1:9/a.csv?X-Amz-Signature={CANARY}"],
    "a token": ["init", f"https://{CANARY}@127.0.0.1:9/a.csv"],
    "data of the environment": ["init", "${SHOP}", "--out", "x.yaml"],
    "a page of the environment": ["init", "${PAGE}", "--out", "x.yaml"],
    "a password of the environment": ["init", "postgresql://me:${PASSWORD}@127.0.0.1:9/db#t", "--out", "x.yaml"],
    "a query": ["init", "${SHOP}", "--query", f"SELECT * FROM dblink('password={CANARY}')", "--out", "x.yaml"],
    "a model": ["score", URI, "people.csv", "out.csv"],
    "a folder": ["score", ".", URI, "out.csv", "--runner", "threads"],
    "a store of ui": ["ui", "--tracking-uri", URI, "--no-browser"],
    "a store of models": ["models", "--tracking-uri", URI],
    "a store of score": ["score", ".", "people.csv", "out", "--runner", "threads", "--tracking-uri", URI],
    "a cluster": ["score", ".", "people.csv", "out", "--runner", "dask",
    "--dask-address", f"tls://me:{CANARY}@127.0.0.1:9"],
    "out": ["score", "models:/a/1", "people.csv", f"{URI}#t"], "drift": ["drift", "models:/a/1", f"{URI}#t"],
    "evaluate": ["evaluate", "models:/a/1", f"{URI}#t"],
    "servers": ["servers", "--database", f"postgresql://me:{CANARY}@127.0.0.1:9"],
    "artifacts of servers": ["servers", "--artifacts", f"s3://key:{CANARY}@bucket"],
    "a store of the environment": ["models"],
    "a job": ["retrain", "job.yaml"], "doctor": ["doctor"], "a schedule": ["schedule", "job.yaml", "--interval", "1h"],
    "a server beside": ["schedule", "job.yaml", "--interval", "1h", "--server"],
    "a bad option": ["models", f"--tracking-ury={URI}"],
    "an argument too many": ["models", "a", URI], "no command": [URI],
    "simulate": ["simulate", "--set", f"tracking.uri={URI}"],
    "benchmark": ["benchmark", "--datasets", "job.yaml", "--set", f"tracking.uri={URI}"],
    "watch": ["tune", "job.yaml", "--set", f"tracking.uri={URI}"],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_refused_and_failing_commands_show_no_secret(name, migrated, tmp_path, monkeypatch, caplog) -> None:
    home = tmp_path / "home"
    job = write_job(home, person_table(30), data={"label": "rich"})
    content = yaml.safe_load(job.read_text())
    call = caller(home, migrated, monkeypatch)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    for variable in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(variable, "")
    planted = {"uri": {"tracking": {"uri": URI}}, "artifacts": {"tracking": {"artifacts": f"s3://key:{CANARY}@b/a"}},
               "data": {"data": {"path": f"{URI}#t"}}}  # fmt: skip
    for file, section in planted.items():
        (home / f"{file}.yaml").write_text(yaml.safe_dump(content | section))
    written = {path: path.read_bytes() for path in holding(home, CANARY)}
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # The temporary server of other tests would answer instead.
    with temporary_settings({PREFECT_API_URL: ENVIRONMENT["PREFECT_API_URL"]}):
        answer = call(*COMMANDS[name], *(["--json"] if name not in ("a schedule", "a server beside") else []))
    assert answer.code in (1, 2), answer.err
    assert "Traceback" not in answer.err
    for text in (answer.out, answer.err, caplog.text):
        assert CANARY not in text
        assert "%23s%3Fs" not in text
    assert [path for path in holding(home, CANARY) if path not in written] == []
