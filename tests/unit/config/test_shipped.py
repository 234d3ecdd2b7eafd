"""Configs that come with the package."""

import pytest

from varjepa.config.load import load_config
from varjepa.config.shipped import shipped_config
from varjepa.errors import ConfigError


@pytest.mark.parametrize("name", ["demo", "sim", "adult"])
def test_a_shipped_config_is_found_from_anywhere(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(shipped_config(name)).registry.name


def test_an_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r'no config "dem".*demo'):
        shipped_config("dem")
