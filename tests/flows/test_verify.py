"""A registered version is read only where it is what was registered, and no code of it runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from tests.flows.conftest import Answer
from tests.model_folders import edited
from varjepa.inference.manifest import write_manifest
from varjepa.inference.storage import FILES

MODEL = "models:/people/1"


@pytest.fixture
def version(handed_over: SimpleNamespace, varjepa: Callable[..., Answer], tmp_path: Path) -> SimpleNamespace:
    """A copy of a registered version in a store of its own: its folder, and a way to call commands."""
    from mlflow import MlflowClient

    from varjepa.tasks.registry.open_model import fetched

    before = MlflowClient(handed_over.uri).get_model_version("people", "1")
    folder = Path(shutil.copytree(fetched(MODEL, handed_over.uri), tmp_path / "logged"))
    client = MlflowClient(f"sqlite:///{tmp_path}/home/mlruns/mlflow.db")
    client.create_registered_model("people")
    client.create_model_version("people", str(folder), tags=before.tags)
    handed_over.table.write_csv(tmp_path / "home" / "people.csv")
    return SimpleNamespace(folder=folder, model=folder / "artifacts" / "model", call=varjepa, client=client)


def test_what_was_registered_is_verified(version: SimpleNamespace) -> None:
    answer = version.call("verify", MODEL, "--json")
    assert answer.code == 0, answer.err
    assert len(answer.json["checked"]) == 4
    assert len(answer.json["not_checked"]) == 1
    assert answer.json["manifest"] == version.client.get_model_version("people", "1").tags["varjepa.manifest"]


def test_a_run_and_a_folder_are_verified(handed_over: SimpleNamespace, varjepa: Callable[..., Answer]) -> None:
    run = varjepa("verify", handed_over.answer.json["run_id"], "--tracking-uri", handed_over.uri, "--json")
    assert (run.code, len(run.json["checked"])) == (0, 4), run.err
    folder = varjepa("verify", handed_over.model, "--json")
    assert (folder.code, len(folder.json["checked"]), len(folder.json["not_checked"])) == (0, 2, 3), folder.err


def test_no_requirement_names_a_package_that_anybody_could_register(version: SimpleNamespace) -> None:
    lines = (version.folder / "requirements.txt").read_text().splitlines()
    (ours,) = (line for line in lines if "varjepa" in line)
    assert (version.folder / ours).is_file()


def damaged(version: SimpleNamespace) -> None:
    edited(version.model, "probe.safetensors", lambda tensors: tensors["bias"].add_(1.0))


def forged(version: SimpleNamespace) -> None:
    """Another model, with a manifest that fits it."""
    damaged(version)
    write_manifest(version.model, FILES)


def gone(version: SimpleNamespace) -> None:
    shutil.rmtree(version.folder)


FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "damaged": (damaged, "probe.safetensors has changed"),
    "forged": (forged, "not the one that was registered"),
    "gone": (gone, "cannot be read"),
}
COMMANDS = {
    "verify": (), "score": ("people.csv", "out.parquet"), "impute": ("people.csv", "out.csv"),
    "sample": ("5", "out.csv"), "drift": ("people.csv",), "evaluate": ("people.csv",),
    "similar": ("people.csv", "people.csv", "out.csv"), "promote": (),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_command_refuses_another_model(fault: str, version: SimpleNamespace) -> None:
    change, message = FAULTS[fault]
    change(version)
    for command, arguments in COMMANDS.items():
        answer = version.call(command, MODEL, *arguments, "--json")
        assert answer.code == 2, (command, answer.err)
        assert message in answer.json["error"], command
    assert not version.client.get_registered_model("people").aliases


@pytest.mark.parametrize(
    "file", ["served_model.py", "MLmodel", "requirements.txt", "artifacts/varjepa-0.1.0-py3-none-any.whl"]
)
def test_what_mlflow_would_run_is_verified_and_not_run(file: str, version: SimpleNamespace, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n".encode()
    (version.folder / file).write_bytes(code if file.endswith(".py") else (version.folder / file).read_bytes() + b"\n")
    answer = version.call("verify", MODEL, "--json")
    assert answer.code == 2
    assert "are not those that were registered" in answer.json["error"]
    scored = version.call("score", MODEL, "people.csv", "out.parquet", "--json")  # reads the model alone
    assert scored.code == 0, scored.err
    assert not marker.exists()


def test_versions_of_before_are_read_and_say_what_is_not_checked(version: SimpleNamespace) -> None:
    client = version.client
    client.create_model_version("people", str(version.folder))
    answer = version.call("verify", "models:/people/2", "--json")
    assert answer.code == 0, answer.err
    assert len(answer.json["not_checked"]) == 3
    scored = version.call("score", "models:/people/2", "people.csv", "out.parquet", "--json")
    assert (scored.code, pl.read_parquet(Path("out.parquet")).height) == (0, json.loads(scored.out)["rows"])
