"""MLflow keeps prompts among registered models; whether a name is that of one is asked once, not at every write."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from varjepa.tasks.tracking.redacting import RedactingClient


def test_a_name_is_looked_up_once(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, asked = f"sqlite:///{shutil.copy(migrated, tmp_path)}", list[str]()
    client = RedactingClient(uri, uri)
    client.create_registered_model("people")
    version = client.create_model_version("people", "runs:/nothing").version
    looked_up = MlflowClient.get_registered_model

    def counted(self: MlflowClient, name: str) -> object:
        asked.append(name)
        return looked_up(self, name)

    # MLflow's own lookup, counted.
    monkeypatch.setattr(MlflowClient, "get_registered_model", counted)
    for value in ("a", "b"):
        client.set_model_version_tag("people", version, "key", value)
        client.set_registered_model_tag("people", "key", value)
        client.set_registered_model_alias("people", value, version)
    assert asked == ["people"]
    assert client.get_model_version("people", version).tags["key"] == "b"
    with pytest.raises(MlflowException):
        client.set_registered_model_tag("nobody", "key", "value")


def test_a_prompt_is_no_model(migrated: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{shutil.copy(migrated, tmp_path)}"
    client = RedactingClient(uri, uri)
    client.register_prompt("greeting", "Hello")
    for _ in range(2):
        with pytest.raises(MlflowException, match="greeting"):
            client.update_registered_model("greeting", "a description")
