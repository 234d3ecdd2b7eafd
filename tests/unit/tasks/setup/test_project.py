"""`varjepa init --project` writes files that are valid, and overwrites none."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import click
import polars as pl
import pytest
import yaml

from varjepa import __version__
from varjepa.config.load import load_config
from varjepa.errors import ConfigError
from varjepa.flows.cli import cli
from varjepa.tasks.setup.project import FILES, package_for, start_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = range(3000)
    table = {
        "x": [i % 89 / 7 for i in rows],
        "kind": ["abc"[i % 3] for i in rows],
        "y": ["no" if i % 7 else "yes" for i in rows],
    }
    pl.DataFrame(table).write_csv(tmp_path / "table.csv")
    start_project(str(tmp_path / "table.csv"), tmp_path / "my-model", label="y", force=False)
    return tmp_path / "my-model"


def commands_of(text: str) -> list[list[str]]:
    """The commands of varjepa in a text, as words."""
    lines = (line.partition("#")[0].strip(" -&").removeprefix("run: ").split() for line in text.splitlines())
    return [[word.strip('"') for word in words[1:]] for words in lines if words[:1] == ["varjepa"]]


def test_every_file_is_valid(project: Path) -> None:
    assert {str(file.relative_to(project)) for file in project.rglob("*") if file.is_file()} == {
        *FILES.values(), "my-model.yaml", "contracts/my-model.yaml",
    }  # fmt: skip
    assert load_config(project / "my-model.yaml").data.label == "y"
    for place in (".github/workflows/model.yml", ".gitlab-ci.yml"):
        assert yaml.safe_load((project / place).read_text())
    subprocess.run(["sh", "-n", project / "schedule.sh"], check=True)
    for place in FILES.values():
        text = (project / place).read_text()
        assert "$name" not in text
        assert "$$" not in text
        assert all(line == line.rstrip() for line in text.splitlines()), place


def test_its_commands_exist_with_their_options(tmp_path: Path) -> None:
    pl.DataFrame({"x": range(60), "y": ["a", "b"] * 30}).write_csv(tmp_path / "t.csv")
    start_project(str(tmp_path / "t.csv"), tmp_path / "model", label="y", force=False)
    commands = [words for place in FILES.values() for words in commands_of((tmp_path / "model" / place).read_text())]
    assert len(commands) >= 8
    for words in commands:
        command = cli.commands[words[0]]
        options = {
            option for parameter in command.params if isinstance(parameter, click.Option) for option in parameter.opts
        }
        assert {word for word in words if word.startswith("--")} <= options, words


def test_ci_trains_on_few_rows_of_a_larger_table(project: Path) -> None:
    assert "--quick --dry-run --set data.rows=2000" in (project / ".gitlab-ci.yml").read_text()


@pytest.mark.parametrize("name", ["my model", "a;b", "$(x)", "Ü", "-x", "a: b"])
def test_names_that_scripts_would_trip_over_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot name a project"):
        start_project("nowhere.csv", tmp_path / name, label=None, force=False)
    assert not (tmp_path / name).exists()


def test_nothing_is_overwritten(project: Path, tmp_path: Path) -> None:
    (project / "Dockerfile").write_text("mine")
    with pytest.raises(ConfigError, match=r"has README.md, .* already"):
        start_project(str(tmp_path / "table.csv"), project, label="y", force=False)
    assert (project / "Dockerfile").read_text() == "mine"
    start_project(str(tmp_path / "table.csv"), project, label="y", force=True)
    assert "FROM" in (project / "Dockerfile").read_text()


@pytest.mark.slow
def test_its_schedule_ends_where_another_program_has_the_port(project: Path) -> None:
    with socket.socket() as other:  # it takes connections and never answers
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        variables = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        ended = subprocess.run(
            ["sh", project / "schedule.sh"], env=variables | {"PATH": path, "PREFECT_PORT": str(port)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert f"Port {port} is in use" in ended.stderr


def test_runs_of_its_image_lie_where_its_user_may_write(project: Path) -> None:
    image = (project / "Dockerfile").read_text()
    assert "-v my-model-runs:/project/mlruns" in image
    assert (
        image.index("mkdir -p /project/mlruns") < image.index("chown -R runner /project") < image.index("USER runner")
    )


@pytest.mark.parametrize(
    ("data", "extra"),
    [
        ("${TABLE}", "[sql]"), ("gs://b/t.parquet", "[s3]"), ("delta://s3://b/t", "[delta]"), ("duckdb:///a.db#t", ""),
        ("iceberg://c/t", "[iceberg]"), ("mysql+pymysql://h/d#t", "[sql]"), ("a.csv", ""), ("https://h/t.csv", ""),
    ],
)  # fmt: skip
def test_its_image_and_ci_can_read_the_table(data: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE", "postgresql://host/shop#people")
    assert package_for(data) == f"varjepa{extra}=={__version__}"


def test_all_files_install_the_same_package(project: Path) -> None:
    for place in ("Dockerfile", "README.md", ".gitlab-ci.yml", ".github/workflows/model.yml"):
        assert f'"varjepa=={__version__}"' in (project / place).read_text(), place
