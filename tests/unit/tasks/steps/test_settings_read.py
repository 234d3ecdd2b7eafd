"""Every setting is read by a step, changes no result, or decides only what happens to the finished model."""

import pytest

from varjepa.config import parse_config, result_settings
from varjepa.tasks.retrain.unchanged import STEPS

AFTERWARDS = ("gate.", "registry.", "drift.")
"""Sections that the gate, the registry and `varjepa drift` read once there is a model."""


def test_no_setting_that_may_change_a_result_is_read_by_nobody() -> None:
    config = parse_config({"data": {"name": "sim"}})
    read = {key for step in STEPS for key in step.read(config)}
    unread = result_settings(config).keys() - read
    assert {key for key in unread if not key.startswith(AFTERWARDS)} == set()
    assert "drift.reference_rows" in read


@pytest.mark.parametrize("name", ["modell", "model.kin", "training.checkpoint_minutes", "tracking"])
def test_a_name_that_is_no_such_setting_is_refused(name: str) -> None:
    config = parse_config({"data": {"name": "sim"}})
    with pytest.raises(ValueError, match=f'"{name}" is not a setting that results depend on'):
        result_settings(config, name)
