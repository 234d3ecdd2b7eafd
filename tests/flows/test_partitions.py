"""Preprocessing in partitions, wherever they are, prepares what preprocessing in one process prepares."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal
from prefect import flow

from tests.flows.conftest import person_table, write_job
from tests.hosts import may_unshare
from tests.store_servers import BUCKET, free_port
from varjepa.config import DataSection, PreprocessSection, RetrainConfig
from varjepa.config.operations import WorkSection
from varjepa.data.encode.encoded import read_part
from varjepa.data.encode.preprocessor import Preprocessor
from varjepa.data.read.clusters import row_clusters
from varjepa.data.read.sources import ROW
from varjepa.data.read.splits import CLUSTER, PART, parts_by_content
from varjepa.inference.storage import load_config_of
from varjepa.tasks.retrain.ingest import ingest
from varjepa.tasks.retrain.preprocess import Prepared, preprocess
from varjepa.tasks.steps.reuse import afresh
from varjepa.tasks.work_store.opened import shared_work
from varjepa.tasks.work_store.place import Place


@flow
def prepared(clean: Path, config: RetrainConfig) -> Prepared:
    return preprocess(clean, config)


def in_both_ways(data: DataSection, settings: dict[str, Any]) -> tuple[Prepared, Prepared]:
    """What one process prepares, and what is prepared in partitions."""
    config = RetrainConfig(data=data)
    clean = ingest.fn(config).path
    whole = preprocess.fn(clean, config)
    parted = config.model_copy(update={"preprocess": PreprocessSection(workers=2, **settings)})
    with afresh():
        return whole, prepared(clean, parted)


def same(parted: Prepared, whole: Prepared, files: int) -> None:
    assert len(list(parted.encoded.iterdir())) == files
    assert {path.name for path in parted.encoded.parent.iterdir()} == {
        "encoded.parquet", "preprocessor.json", "result.json"
    }  # fmt: skip
    places = {"encoded": whole.encoded, "preprocessor": whole.preprocessor}
    assert replace(parted, **places) == whole
    one, other = (pl.read_parquet(of.encoded) for of in (parted, whole))
    # Numbers hang on means, which are known to the last digit but one.
    assert_frame_equal(one, other, rel_tol=1e-6, abs_tol=1e-6)
    exact = [name for name, dtype in one.schema.items() if dtype != pl.Float32]
    assert {ROW, PART} < set(exact)
    assert one.select(exact).equals(other.select(exact))
    preprocessor = Preprocessor.read(parted.preprocessor)
    test = read_part(parted.encoded, preprocessor, "test")
    assert (test.rows == other.filter(pl.col(PART) == "test")[ROW].to_numpy()).all()


@pytest.mark.parametrize(("runner", "by"), [("threads", "random"), ("processes", "hash")])
def test_partitions_are_prepared_on_this_machine(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: str, by: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, person_table(1000))
    data = DataSection(path="people.csv", label="rich", split={"by": by})
    whole, parted = in_both_ways(data, {"runner": runner, "partition_rows": 300})
    same(parted, whole, 4)
    assert not servers_of_prefect_itself()
    hashed = ("age", "country", "income per-year", "job", "member", "since") if by == "hash" else None
    assert parted.split.columns == hashed
    assert "customer_id" in parted.left_out


def servers_of_prefect_itself() -> list[psutil.Process]:
    """Those that Prefect starts where it knows of none; ours has another command."""
    own = "prefect.server.api.server:create_app"
    return [child for child in psutil.Process().children() if own in (child.as_dict(["cmdline"])["cmdline"] or ())]


def test_a_dask_cluster_prepares_a_real_table(
    prefect_server: None, tmp_path: Path, adult: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("prefect_dask")
    monkeypatch.chdir(tmp_path)
    data = DataSection(path=str(adult), label="income", split={"by": "time", "column": "age"})
    whole, parted = in_both_ways(data, {"runner": "dask", "partition_rows": 10_000})
    same(parted, whole, 5)


@pytest.mark.usefixtures("s3")
def test_dask_workers_that_share_no_folder_prepare_through_the_work_store(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker has a working folder and a home of its own; where this machine permits it, ours is empty for it."""
    pytest.importorskip("prefect_dask")
    home = tmp_path / "home"
    write_job(home, person_table(1000))
    monkeypatch.chdir(home)
    data = DataSection(path="people.csv", label="rich", split={"by": "hash"})
    work = WorkSection(uri=f"s3://{BUCKET}/{tmp_path.name}")
    with shared_work(work), dask_cluster(tmp_path, hidden=home) as address:
        whole, parted = in_both_ways(data, {"runner": "dask", "dask_address": address, "partition_rows": 300})
    same(parted, whole, 4)
    keys = [item.key for item in Place(str(work.uri)).items()]
    assert sum("/encoded.parquet/" in key for key in keys) == 4
    assert not [key for key in keys if key.startswith("partial")]


@contextmanager
def dask_cluster(folder: Path, hidden: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, which see an empty folder in place of `hidden`."""
    address = f"tcp://127.0.0.1:{free_port()}"
    python, root = [sys.executable, "-m"], str(Path(__file__).parents[2])
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden)]
    commands = [[*python, "dask", "scheduler", "--host", address, "--no-dashboard"]]
    worker = [*python, "dask", "worker", address, "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
    commands += [[*(hide if may_unshare() else []), *worker]] * 2
    with ExitStack() as running:
        for number, words in enumerate(commands):
            place = folder / f"host{number}"
            place.mkdir()
            running.enter_context(bound(words, place, {"PYTHONPATH": root, "HOME": str(place)}))
        yield address


@contextmanager
def bound(words: list[str], place: Path, variables: dict[str, str]) -> Iterator[None]:
    """A process with a working folder of its own, which is killed at the end."""
    with (place / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=place, env=os.environ | variables, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_retrain_in_partitions_is_the_same_job(varjepa, tmp_path: Path) -> None:
    data = {"label": "rich", "split": {"by": "hash"}}
    job = write_job(tmp_path, person_table(), data=data, generator={"n_layers": 0}, probe={"head": "linear"})
    here = ["--set", "preprocess.runner=threads", "--set", "preprocess.partition_rows=150"]
    first = varjepa("retrain", job, *here, "--json")
    assert first.code == 0, first.err
    assert "preprocessing 3 partitions: threads" in first.err
    # Nobody who trains, measures or registers asks where the rows were prepared.
    again = varjepa("retrain", job, "--json")
    assert again.code == 0, again.err
    assert again.json["metrics"] == pytest.approx(first.json["metrics"])
    for step in ("preprocess", "pretrain", "probe", "calibrate"):
        assert f"{step}: nothing has changed" in again.err
        assert len(list((tmp_path / "home/mlruns/work").glob(f"{step}-*/"))) == 1
    # The model says which columns were hashed, so that its training rows can be recognised.
    models = (tmp_path / "home/mlruns/work").glob("assemble-*/model")
    split, other = (load_config_of(model).data.split for model in models)
    assert split == other
    assert split.columns == ("age", "country", "income per-year", "job", "member", "since")
    encoded = next((tmp_path / "home/mlruns/work").glob("preprocess-*/encoded.parquet"))
    marks = pl.read_parquet(encoded)
    assert parts_by_content(person_table(), split).to_list() == marks[PART].to_list()
    assert row_clusters(person_table(), split).tolist() == marks[CLUSTER].to_list()


def test_a_fault_that_a_worker_finds_is_the_users(varjepa, tmp_path: Path) -> None:
    job = write_job(tmp_path, person_table(), data={"label": "rich", "kinds": {"job": "numeric"}})
    settings = ("preprocess.runner=processes", "preprocess.workers=1", "preprocess.partition_rows=150")
    answer = varjepa("retrain", job, *(word for one in settings for word in ("--set", one)), "--json")
    assert answer.code == 2
    assert answer.json["error"] == 'The column "job" holds text. Expected a numeric column.'
    assert "Traceback" not in answer.err


IN_PARTITIONS = """
import os, signal, sys
from pathlib import Path
from varjepa.tasks.retrain.partitions import encode, partitions_of
from varjepa.tasks.retrain.preprocess import in_partitions
from varjepa.config import DataSection, PreprocessSection, RetrainConfig
from varjepa.config.operations import WorkSection
def parallel_map(function, things):
    for place, thing in enumerate(things):
        if function.func is encode and place == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield function(thing)
folder = Path("prepared").resolve()
folder.mkdir(exist_ok=True)
partitions = partitions_of(Path(sys.argv[1]), folder / "parts.parquet", 300)
in_partitions(partitions, DataSection(path="people.csv", label="rich"), PreprocessSection(), folder, parallel_map)
"""


def test_partitions_that_were_encoded_are_not_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_job(tmp_path, person_table(1000))
    clean = ingest.fn(RetrainConfig(data=DataSection(path="people.csv"))).path.resolve()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", IN_PARTITIONS, str(clean)]
    killed = subprocess.run([*words, "2"], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    done = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("prepared/draft-*/*.parquet")}
    assert len(done) == 2
    subprocess.run([*words, "-1"], env=environment, check=True)
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "prepared/encoded.parquet").iterdir()}
    assert len(files) == 4
    assert done.items() <= files.items()
    assert {path.name for path in (tmp_path / "prepared").iterdir()} == {"encoded.parquet", "preprocessor.json"}
