"""Every exception of a command becomes a message, an exit code and, for bugs, a file with the traceback."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from varjepa.errors import ConfigError, ContractError
from varjepa.flows.cli import cli
from varjepa.flows.commands import finish
from varjepa.flows.failures import failure_of, guarded

SAID = [
    (ConfigError("Wrong key."), 2, "Wrong key."),
    (ContractError("Broken."), 3, "Broken."),
    (click.UsageError("No such option."), 2, "No such option."),
    (KeyboardInterrupt(), 1, "Interrupted"),
    (MemoryError(), 1, "not enough memory"),
    (PermissionError(errno.EACCES, "Permission denied", "locked/out.csv"), 2, "locked/out.csv: Permission denied"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", b"gone/x"), 2, "gone/x: No such file"),
    (OSError(errno.EMFILE, "Too many open files", "x"), 1, "ulimit -n"),
]


@pytest.mark.parametrize(("error", "code", "message"), SAID)
def test_what_people_can_mend_is_said_in_words(error: BaseException, code: int, message: str) -> None:
    failure = failure_of(error)
    assert (failure.exit_code, failure.bug) == (code, False)
    assert message in failure.message


class Panic(BaseException):
    """Libraries in Rust panic with a class that is no `Exception`."""


BUGS = [ZeroDivisionError("x"), RecursionError(), Panic("at index 5"), OSError(errno.EIO, "Input/output error", "x"),
        FileNotFoundError(errno.ENOENT, "No such file", json.__file__), OSError("no number")]  # fmt: skip


@pytest.mark.parametrize("error", BUGS)
def test_a_bug_leaves_a_private_file_with_the_traceback_and_one_json_object(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()

    def command() -> None:
        raise error

    assert guarded(command, ["score", "--json"]) == 1
    shown = capsys.readouterr()
    (file,) = (tmp_path / "mlruns" / "errors").iterdir()
    assert str(file.relative_to(tmp_path)) in shown.err
    assert type(error).__name__ in file.read_text()
    assert "in command" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Traceback" not in shown.err
    assert json.loads(shown.out)["exit_code"] == 1


def test_without_a_place_for_the_traceback_the_words_still_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert guarded(lambda: 1 // 0, []) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_exit_code_of_a_command_is_kept() -> None:
    assert (guarded(lambda: 3, []), guarded(lambda: None, [])) == (3, 0)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    finish({"a": float("nan"), "b": [1.5, float("inf"), {"c": (float("-inf"), "x", True, None)}]}, json_out=True)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": None, "b": [1.5, None, {"c": [None, "x", True, None]}]
    }  # fmt: skip


def _schema(out: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "varjepa.flows.cli", "schema"]
    return subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_said() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = _schema(full)
    os.close(full)
    assert done.returncode == 1
    assert "is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _schema(writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "people@champion", "5"], "Missing argument 'OUT'. Usage: "),
        (["models", "a", "b"], "argument (b). Usage: "),
    ],
)
def test_a_line_with_too_few_or_too_many_words_is_answered_with_the_usage(words: list[str], said: str) -> None:
    error = CliRunner().invoke(cli, words, standalone_mode=False).exception
    assert error is not None
    failure = failure_of(error)
    assert failure.exit_code == 2
    assert said in failure.message
    assert f"{words[0]} [OPTIONS] " in failure.message
    assert failure.message.endswith(f"{words[0]} --help` says more.")


@pytest.mark.parametrize("words", [[], ["completion"]])
def test_a_group_alone_shows_its_help_in_lines(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: cli.main(words, standalone_mode=False), words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Usage: ")
    assert "Commands:" in lines or "To begin:" in lines
    assert max(map(len, lines)) <= 80
