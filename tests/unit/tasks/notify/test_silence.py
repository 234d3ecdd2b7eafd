"""Silence is told once, but until somebody has accepted the message it is not told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.tasks.notify.receivers import web_hook
from varjepa.config import RetrainConfig
from varjepa.tasks.notify.silence import SILENT, tell_silence
from varjepa.tasks.tracking.store import client_of, experiment_id


@pytest.mark.slow
def test_silence_is_told_again_until_somebody_accepts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = RetrainConfig.model_validate({
        "data": {"path": "a.csv"}, "registry": {"name": "people"}, "watch": {"silent_after": "1d"},
        "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db"},
        "notify": [{"events": ["silent"], "urls": "TEST_URLS", "timeout": 5}],
    })  # fmt: skip
    client, then = client_of(config.tracking), datetime.now(UTC) - timedelta(days=3)
    run = client.create_run(experiment_id(config.tracking), int(then.timestamp() * 1000), {"varjepa.step": "retrain"})
    client.log_param(run.info.run_id, "registry.name", "people")
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("TEST_URLS", "json://127.0.0.1:9/")  # nobody is there
        assert tell_silence(config) is not None
        assert SILENT not in client.get_run(run.info.run_id).data.tags
        monkeypatch.setenv("TEST_URLS", hook)
        for _ in range(2):
            assert tell_silence(config) is not None
    assert len(bodies) == 1
