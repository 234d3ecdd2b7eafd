"""What README and the pages print can be typed: commands, options and targets exist, Python runs or parses."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from tests.unit.test_docs import PAGES, ROOT
from varjepa.flows.cli import cli

README, COMMANDS = ROOT / "README.md", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return [code for name, code in FENCED.findall(page.read_text()) if name == language]


def lines(page: Path) -> Iterator[str]:
    """Lines of indented blocks, those that end with a backslash joined with the next."""
    text = page.read_text().replace("\\\n", " ")
    return (line.strip() for line in text.split("\n") if line.startswith("    "))


def calls(page: Path, program: str) -> list[list[str]]:
    """Words of the calls of a program in indented blocks, without comments and what comes after them."""
    found = []
    for line in lines(page):
        for part in re.split(r" && ", line):
            words = shlex.split(part.split(" #")[0]) if part.split("=")[0].isupper() or part.startswith(program) else []
            words = [word for word in words if not re.fullmatch(r"[A-Z_]+=\S*", word) or program != "make"]
            found += [words[1:]] if words[:1] == [program] else []
    return found


def command_of(words: list[str]) -> click.Command:
    """The command that a line calls."""
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words
    return command


def test_commands_and_their_options_exist() -> None:
    for page, words in ((each, words) for each in COMMANDS for words in calls(each, "varjepa")):
        if words[0].startswith("--"):
            continue
        known = {
            option for parameter in command_of(words).params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known | {"--help"}, (page, words)


def test_targets_of_make_exist() -> None:
    for page in COMMANDS:
        named = {words[0] for words in calls(page, "make") if words and "=" not in words[0]}
        named |= set(re.findall(r"`make ([a-z]+)", page.read_text()))
        assert named <= TARGETS, page


def test_there_are_commands_to_check() -> None:
    assert sum(len(calls(page, "varjepa")) for page in COMMANDS) > 60
    assert calls(README, "make") == [["run"], ["test"], ["run"]]


def test_blocks_are_well_formed() -> None:
    for page in COMMANDS:
        for code in blocks(page, "python"):
            ast.parse(code, str(page))
        for text in blocks(page, "yaml"):
            yaml.safe_load(text)
        for text in blocks(page, "toml"):
            tomllib.loads(text)


@pytest.mark.slow
def test_the_code_in_readme_runs(tmp_path: Path) -> None:
    (code,) = blocks(README, "python")
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    shape = "\nprint(vectors.shape[0], len(unsure), full.filled.height, odd.height, near.height, more.height)"
    script = tmp_path / "readme.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}{shape}")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["178", "178", "5", "178", "5", "100"]


def test_hooks_before_a_commit_are_the_commands_of_make_lint() -> None:
    recipe = re.search(r"^lint: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    lint = {line.strip().removeprefix("$(BIN)/").removesuffix(" .") for line in recipe.splitlines()}
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude") for hook in repository["hooks"]}
    assert hooks == lint
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
