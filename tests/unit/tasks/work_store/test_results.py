"""Results of steps on one machine are found on another, and what an unfinished step has left."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.store_servers import BUCKET, S3, free_port
from tests.unit.tasks.work_store.conftest import Figures
from varjepa.errors import DataError, UserError
from varjepa.tasks.steps.reuse import WORK, reuse
from varjepa.tasks.work_store.place import Place

pytestmark = pytest.mark.slow  # servers start

FOLDER = WORK / "step-0123"


def made(value: int = 1) -> Figures:
    """Makes the result of a step, with files in folders, and an empty one."""

    def make() -> Figures:
        (FOLDER / "tables" / "of one").mkdir(parents=True)
        (FOLDER / "none").mkdir()
        (FOLDER / "tables" / "of one" / "rows & ä.csv").write_text("a\n1\n")
        (FOLDER / "big.bin").write_bytes(bytes(2 * 10**7))
        (FOLDER / "left.tmp").write_text("half")
        return Figures(value, FOLDER / "big.bin")

    return reuse(FOLDER, Figures, make)


def never() -> Figures:
    raise AssertionError("made again")


def test_a_result_is_fetched_with_all_its_files(uri: str, machine: Callable[..., Any]) -> None:
    with machine("one", uri):
        first = made()
    with machine("two", uri):
        assert reuse(FOLDER, Figures, never) == first
        assert first.place.stat().st_size == 2 * 10**7
        assert (FOLDER / "tables" / "of one" / "rows & ä.csv").read_text() == "a\n1\n"
        assert list((FOLDER / "none").iterdir()) == []
        assert not (FOLDER / "left.tmp").exists()
        assert reuse(FOLDER, Figures, never) == first  # now from its own folder
    assert {item.key.split("/")[0] for item in Place(uri).items()} == {FOLDER.name}


def test_a_result_that_is_not_shared_is_made_on_each_machine(uri: str, machine: Callable[..., Any]) -> None:
    for name in ("one", "two"):
        with machine(name, uri):
            assert reuse(FOLDER, Figures, lambda: Figures(1, FOLDER), shared=False).value == 1
            assert reuse(FOLDER, Figures, never, shared=False).value == 1
    assert Place(uri).items() == []


def test_a_result_of_which_a_file_is_gone_is_made_again(uri: str, machine: Callable[..., Any]) -> None:
    with machine("one", uri):
        made()
    Place(uri).delete([f"{FOLDER.name}/big.bin"])
    with machine("two", uri):
        assert made(2).value == 2
    with machine("three", uri):
        assert reuse(FOLDER, Figures, never).value == 2


def test_a_result_from_before_there_was_a_store_is_uploaded(uri: str, machine: Callable[..., Any]) -> None:
    with machine("one", f"{uri}/other"):
        made()
    with machine("one", uri):
        reuse(FOLDER, Figures, never)
    with machine("two", uri):
        reuse(FOLDER, Figures, never)


def test_a_checkpoint_goes_to_the_next_machine_and_the_newest_at_an_interruption(
    uri: str, machine: Callable[..., Any]
) -> None:
    checkpoint, part = FOLDER / "checkpoint.pt", FOLDER / "draft-9" / "000.parquet"

    def interrupted() -> Figures:
        checkpoint.write_bytes(b"1")
        part.parent.mkdir()
        part.write_bytes(b"rows")
        wait_for(lambda: len(Place(uri).items("partial")) == 2)
        newer = checkpoint.with_suffix(".tmp")
        newer.write_bytes(b"22")
        newer.replace(checkpoint)
        raise KeyboardInterrupt

    def ended() -> Figures:
        assert (checkpoint.read_bytes(), part.read_bytes()) == (b"22", b"rows")
        checkpoint.unlink()
        part.parent.rename(FOLDER / "encoded.parquet")
        return Figures(3, FOLDER)

    with pytest.raises(KeyboardInterrupt), machine("one", uri, checkpoint_seconds=1000):
        reuse(FOLDER, Figures, interrupted)
    with machine("two", uri):
        assert reuse(FOLDER, Figures, ended).value == 3
    with machine("one", uri):  # its own checkpoint is older
        reuse(FOLDER, Figures, never)
        assert sorted(path.name for path in FOLDER.iterdir()) == ["encoded.parquet", "result.json"]
        assert (FOLDER / "encoded.parquet" / "000.parquet").read_bytes() == b"rows"
    keys = [item.key.removeprefix(f"{FOLDER.name}/") for item in Place(uri).items()]
    assert keys == [".files.json", "encoded.parquet/000.parquet", "result.json"]


def test_the_machine_that_was_further_counts(uri: str, machine: Callable[..., Any]) -> None:
    checkpoint = FOLDER / "checkpoint.pt"
    seen = []

    def step(content: bytes) -> Callable[[], Figures]:
        def make() -> Figures:
            seen.append(checkpoint.read_bytes() if checkpoint.is_file() else b"")
            checkpoint.write_bytes(content)
            raise RuntimeError("broken")

        return make

    for name, content in (("one", b"a"), ("two", b"ab"), ("one", b"abc"), ("one", b"abcd"), ("two", b"abcde")):
        with pytest.raises(RuntimeError, match="broken"), machine(name, uri):
            reuse(FOLDER, Figures, step(content))
    assert seen == [b"", b"a", b"ab", b"abc", b"abcd"]


def test_two_machines_never_run_a_step_at_once(tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """The other one waits, and finds the result. Without `machine`: a process has one working folder."""
    from varjepa.tasks.work_store.results import SharedResults

    caplog.set_level(logging.INFO, "varjepa")
    homes, values = [tmp_path / "one" / "step-1", tmp_path / "two" / "step-1"], []
    begun = threading.Event()

    def work(home: Path, value: int) -> None:
        def make() -> None:
            begun.set()
            time.sleep(0.5)
            values.append(value)
            (home / "result.json").write_text(json.dumps(value))

        home.mkdir(parents=True)
        with SharedResults(Place(uri), 60.0, 1.0).turn(home):
            if not (home / "result.json").is_file():
                make()

    first = threading.Thread(target=work, args=(homes[0], 1))
    first.start()
    assert begun.wait(10)
    work(homes[1], 2)
    first.join()
    assert values == [1]
    assert (homes[1] / "result.json").read_text() == "1"
    assert "works on the same step; waiting for it" in caplog.text


def test_a_store_cannot_write_outside_of_a_folder(uri: str, machine: Callable[..., Any]) -> None:
    place = Place(uri)
    place.write(f"{FOLDER.name}/.files.json", json.dumps({"files": {"../../x": 1}, "empty": []}).encode())
    place.write(f"{FOLDER.name}/result.json", b"{}")
    with pytest.raises(DataError, match="outside of the folder"), machine("one", uri):
        reuse(FOLDER, Figures, never)


def test_a_store_that_does_not_answer_at_the_start_is_an_error(
    machine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    with (
        pytest.raises(UserError, match=r"The work store s3://tables/x does not answer"),
        machine("one", "s3://tables/x"),
    ):
        raise AssertionError("no store")


def test_a_run_goes_on_without_a_store_that_is_lost_and_the_next_one_uploads(
    machine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "varjepa")
    port, uri = free_port(), f"s3://{BUCKET}/lost"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = s3_at(port)
    try:
        with machine("one", uri):
            server.kill()
            server.wait()
            assert made().value == 1
        assert f"The work store {uri} does not answer" in caplog.text
        assert f'the results "{FOLDER.name}" are on this machine only' in caplog.text
        server = s3_at(port)
        with machine("one", uri):
            reuse(FOLDER, Figures, never)
        with machine("two", uri):
            reuse(FOLDER, Figures, never)
    finally:
        server.kill()
        server.wait()


def s3_at(port: int) -> "subprocess.Popen[bytes]":
    """A server of this test alone, with its bucket."""
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(answers)
    S3(f"http://127.0.0.1:{port}")
    return server


def wait_for(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)
