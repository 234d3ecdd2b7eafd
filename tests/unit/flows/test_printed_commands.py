"""Commands that are printed can be copied into a shell, whatever files and models are called."""

import shlex
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from varjepa.config import parse_config
from varjepa.data.read.sim_table import sim_table
from varjepa.flows.show import results, setup
from varjepa.tasks.notify.events import _commands
from varjepa.tasks.setup.initialise import initialise

NAMES = ["my table", "it's; here $(id)", "a&b [k]"]


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_after_init_name_the_config(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sim_table(rows=60, seed=0).write_parquet("t.parquet")
    console = Console(width=80, record=True, file=StringIO(), emoji=False, highlight=False)
    monkeypatch.setattr(setup, "console", console)  # one that records
    setup.show_profile(initialise("t.parquet", label=None, out=Path(f"{name}.yaml"), force=False))
    last = console.export_text().splitlines()[-1]
    assert shlex.split(last) == ["varjepa", "retrain", f"{name}.yaml"]  # two files of which none exists


def test_the_commands_of_a_message_name_the_version() -> None:
    for command, word in zip(_commands("models:/my people/3"), ("approve", "reject"), strict=True):
        assert shlex.split(command) == ["varjepa", word, "models:/my people/3", "--why", "..."]
    assert _commands("models:/people/3")[0] == 'varjepa approve models:/people/3 --why "..."'


def test_the_commands_after_a_retrain_name_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = parse_config({"data": {"name": "sim"}, "tracking": {"uri": "sqlite:///my runs/mlflow.db"}})
    assert shlex.split(results._where(config)) == ["--tracking-uri", "sqlite:///my runs/mlflow.db"]
