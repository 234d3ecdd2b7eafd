"""A project folder that was moved or copied keeps its models, and says where artifacts go."""

import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from varjepa.config.operations import TrackingSection
from varjepa.errors import SetupError
from varjepa.tasks.registry.verify import verify
from varjepa.tasks.tracking.moved import rewrite
from varjepa.tasks.tracking.store import client_for, experiment_id


def project(handed_over: SimpleNamespace, folder: Path) -> TrackingSection:
    """A copy of a project with a registered version, as if it had been made there."""
    shutil.copytree(handed_over.home / "mlruns", folder / "mlruns", ignore=shutil.ignore_patterns("work"))
    database = folder / "mlruns" / "mlflow.db"
    old, new = handed_over.home / "mlruns" / "artifacts", folder / "mlruns" / "artifacts"
    with sqlite3.connect(database) as connection:
        rewrite(connection, old.as_uri(), new.as_uri())
    connection.close()
    return TrackingSection(uri=f"sqlite:///{database}")


def moved(folder: Path, to: Path) -> TrackingSection:
    folder.rename(to)
    return TrackingSection(uri=f"sqlite:///{to}/mlruns/mlflow.db")


def test_artifacts_follow_a_moved_project(handed_over: SimpleNamespace, tmp_path: Path) -> None:
    tracking = project(handed_over, tmp_path / "before")
    assert verify("models:/people/1", tracking.uri)["folder"].startswith(str(tmp_path / "before"))
    tracking = moved(tmp_path / "before", tmp_path / "after, 100% moved")
    assert verify("models:/people/1", tracking.uri)["folder"].startswith(str(tmp_path / "after, 100% moved"))
    run_id = client_for(tracking.uri).get_model_version("people", "1").tags["varjepa.run_id"]
    assert client_for(tracking.uri).list_artifacts(run_id)
    experiment_id(tracking)
    assert not (tmp_path / "before").exists()


def test_artifacts_that_are_gone_stop_a_job_before_it_trains(handed_over: SimpleNamespace, tmp_path: Path) -> None:
    tracking = project(handed_over, tmp_path / "before")
    shutil.rmtree(tmp_path / "before" / "mlruns" / "artifacts")
    tracking = moved(tmp_path / "before", tmp_path / "after")
    with pytest.raises(SetupError, match=r"stores its artifacts in .*before.*, which is gone"):
        experiment_id(tracking)
    assert not (tmp_path / "before").exists()


def test_a_copy_says_that_its_artifacts_go_to_the_original(
    handed_over: SimpleNamespace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project(handed_over, tmp_path / "original")
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    experiment_id(TrackingSection(uri=f"sqlite:///{tmp_path}/copy/mlruns/mlflow.db"))
    assert "not beside the database" in caplog.text


def test_a_place_that_cannot_be_written_to_stops_a_job(handed_over: SimpleNamespace, tmp_path: Path) -> None:
    tracking, place = project(handed_over, tmp_path / "before"), tmp_path / "before" / "mlruns" / "artifacts"
    shutil.rmtree(place)
    place.write_text("no folder")
    with pytest.raises(SetupError, match=r"Artifacts cannot be written to .*artifacts"):
        experiment_id(tracking)
