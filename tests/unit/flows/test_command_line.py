"""The words of the command line: help with examples, `--verbose` anywhere, completion, shipped configs."""

import logging
import os
import subprocess
from io import BytesIO, TextIOWrapper
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from varjepa.config import benchmark_config
from varjepa.flows.cli import SECTIONS, cli
from varjepa.flows.commands import _value, model_argument
from varjepa.tasks.setup.completion import install


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        inner = _commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
        found += inner
    return found


COMMANDS = _commands(cli)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_ends_with_an_example_of_that_command(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80)
    _, word, examples = result.output.rpartition("Example")
    assert word, result.output
    lines = [line.strip() for line in examples.splitlines()[1:] if line.strip()]
    assert lines
    assert all(line.startswith(f"varjepa {' '.join(path)}") for line in lines)


def test_the_help_lists_every_command_once_with_a_whole_sentence() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(cli.commands)
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output
    assert "..." not in shown.partition("To begin:")[2]
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_examples_name_options_that_exist(path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]  # a group
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for example in command.examples:  # type: ignore[attr-defined]  # of our Command
        used = {word.split("=")[0] for word in example.split() if word.startswith("--")}
        assert used <= options


@pytest.mark.parametrize(
    "words",
    [["--verbose", "schema"], ["schema", "--verbose"], ["--verbose", "schema", "--verbose"]],
)
def test_verbose_stands_anywhere(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_LOGGING_EXTRA_LOGGERS", raising=False)
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    assert "PREFECT_LOGGING_EXTRA_LOGGERS" not in os.environ


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_numbers_of_options_are_finite(path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]  # a group
    for parameter in command.params:
        if isinstance(parameter.type, click.types.FloatParamType):
            for text in ("nan", "-nan", "inf"):  # --level nan was taken, and no drift reached it
                with pytest.raises(click.BadParameter):
                    parameter.type.convert(text, parameter, None)


def test_a_registered_model_may_be_named_for_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd@folder").mkdir()
    found: list[str] = []

    @click.command()
    @model_argument
    def named(model: str) -> None:
        found.append(model)

    for words in ("people@champion", "models:/people@champion", "odd@folder", "a/people@champion", "people"):
        assert CliRunner().invoke(named, [words]).exit_code == 0
    assert found == ["models:/people@champion", "models:/people@champion", "odd@folder", "a/people@champion", "people"]


@pytest.mark.parametrize("text", ["007", "01.5", "1_000", "nan", "inf", "1e999", "\u0663", " 7", "+7", ""])
def test_a_parameter_that_is_not_written_like_a_number_stays_text(text: str) -> None:
    assert _value(text) == text  # a customer 007 was looked for as 7


def test_a_command_after_one_whose_stderr_was_closed() -> None:
    """As a notebook or a test calls commands: the handler of the log flushed the closed stream, an internal error."""
    assert CliRunner().invoke(cli, ["schema"]).exit_code == 0
    handlers = logging.getLogger("varjepa").handlers
    handler = next(each for each in handlers if type(each) is logging.StreamHandler)
    with TextIOWrapper(BytesIO()) as closed:
        handler.stream = closed
    result = CliRunner().invoke(cli, ["schema"])
    assert result.exit_code == 0, result.exception
    assert handler.stream is not closed


def test_after_two_dashes_verbose_is_a_value() -> None:
    result = CliRunner().invoke(cli, ["models", "--", "--verbose", "--verbose"])
    assert result.exit_code == 2
    assert "unexpected extra argument" in result.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(("shell", "start"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
@pytest.mark.parametrize("before", [None, "", "alias l=ls", "alias l=ls\n"])
def test_completion_is_installed_once_and_keeps_what_was_there(home: Path, shell: str, start: str, before) -> None:
    if before is not None:
        (home / start).write_text(before)
    for _ in range(2):
        install(shell, "# script")
    text = (home / start).read_text()
    assert text.count("completion of varjepa") == 1
    assert text.startswith((before or "").strip())
    assert (home / ".config/varjepa/completion" / f"varjepa.{shell}").read_text() == "# script"


def test_fish_reads_its_own_folder(home: Path) -> None:
    assert install("fish", "# script") == [home / ".config/fish/completions/varjepa.fish"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_shown(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", "show", shell])
    assert result.exit_code == 0, result.output
    assert "_VARJEPA_COMPLETE" in result.stdout


def test_the_installed_line_is_bash(home: Path) -> None:
    install("bash", "answer=42")
    done = subprocess.run(["bash", "-c", ". ~/.bashrc; echo $answer"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "42"


def test_an_unknown_shell_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    result = CliRunner().invoke(cli, ["completion", "show"])
    assert 'shell "tcsh"' in str(result.exception)


def test_data_sets_of_the_package_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(benchmark_config(["sim", "demo"]).datasets) == ["sim", "demo"]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/sim.yaml").write_text("data: {name: sim, rows: 77, label: label}")
    assert benchmark_config(["sim"]).datasets["sim"].data.rows == 77  # one's own comes first
