"""Addresses of tracking stores in folders with odd names."""

from pathlib import Path

import pytest

from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError
from varjepa.tasks.setup.doctor import _tracking
from varjepa.tasks.tracking.uris import database_file, tracking_uri


@pytest.mark.parametrize(("name", "works"), [("100% #1 ü", True), ("what? now", False), ("a?x=1", False)])
def test_a_store_lies_in_the_folder_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, works: bool
) -> None:
    """What follows a question mark would be taken for options, and the store for a file beside the folder."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if works:
        assert database_file(tracking_uri(TrackingSection())) == folder / "mlruns" / "mlflow.db"
        return
    with pytest.raises(SetupError, match="question mark"):
        tracking_uri(TrackingSection())
    check = _tracking()  # one of several: the doctor goes on
    assert (check.ok, "question mark" in check.found) == (False, True)
