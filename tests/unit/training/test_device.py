"""Names of devices."""

import pytest

from varjepa.errors import ConfigError
from varjepa.training.device import resolve_device


def test_unknown_devices_are_refused() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ConfigError, match="cannot be used here"):
        resolve_device("warp")
