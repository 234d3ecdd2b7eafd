"""A model that lies elsewhere is copied for one process, and is gone with it."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.store_servers import S3, free_port
from varjepa.errors import ModelError, SetupError
from varjepa.tasks.registry.open_model import fetched
from varjepa.tasks.tracking.store import client_for

FETCH = """
import sys
from varjepa.tasks.registry.open_model import fetched
folder = fetched("models:/far/1", sys.argv[1])
print((folder / "MLmodel").read_text(), fetched("models:/near/1", sys.argv[1]))
"""


@pytest.mark.slow
def test_a_download_goes_with_its_process_and_a_local_model_stays(s3: S3, tmp_path: Path) -> None:
    uri, near, temporary = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "near", tmp_path / "tmp"
    near.mkdir()
    temporary.mkdir()
    (near / "MLmodel").write_text("near")
    client = client_for(uri)
    for name, place in (("far", s3.put("far/MLmodel", b"far").rpartition("/")[0]), ("near", near.as_uri())):
        client.create_registered_model(name)
        client.create_model_version(name, place)
    environment = os.environ | {"TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, uri], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["far", str(near)]
    assert not [path for path in temporary.iterdir() if path.is_dir()]
    assert (near / "MLmodel").read_text() == "near"


def test_only_files_that_are_gone_are_called_so(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A champion without files counts as none, which an account that has expired or a lost network must not make it."""
    uri, near = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "near"
    near.mkdir()
    client = client_for(uri)
    for name, place in (("far", s3.put("kept/MLmodel", b"far").rpartition("/")[0]), ("near", near.as_uri())):
        client.create_registered_model(name)
        client.create_model_version(name, place)
    words = r"cannot be read: .*[^.]\. They lie in s3://tables/kept.*Check the account"
    with s3.denied(), pytest.raises(SetupError, match=words):
        fetched("models:/far/1", uri)

    for variable in ("AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    answers = {"AWS_ENDPOINT_URL": s3.endpoint, "MLFLOW_S3_ENDPOINT_URL": s3.endpoint}
    back = threading.Timer(2.0, os.environ.update, (answers,))
    back.start()
    assert (fetched("models:/far/1", uri) / "MLmodel").read_text() == "far"
    assert not back.is_alive()  # it has waited for the store

    shutil.rmtree(near)
    with pytest.raises(ModelError, match="moved or deleted"):
        fetched("models:/near/1", uri)
    with pytest.raises(ModelError, match="cannot be read"):
        fetched("models:/near/2", uri)
