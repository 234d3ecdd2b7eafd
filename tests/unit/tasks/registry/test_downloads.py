"""A model that lies elsewhere is copied for one process, and is gone with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store_servers import S3
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
