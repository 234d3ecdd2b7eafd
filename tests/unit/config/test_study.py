"""Settings of the study."""

import pytest

from varjepa.config import study_config
from varjepa.errors import ConfigError


def test_settings_of_a_study_are_strict() -> None:
    assert study_config(["sigreg.weight=1", "rows=7"], runs=2).sigreg.weight == 1
    with pytest.raises(ConfigError, match='Did you mean "rows"'):
        study_config(["rowz=7"])
