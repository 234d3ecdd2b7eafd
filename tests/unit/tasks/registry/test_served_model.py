"""The code of a registered model, as MLflow runs it."""

import runpy
import warnings
from pathlib import Path

import varjepa.tasks.registry

SERVED = Path(varjepa.tasks.registry.__path__[0]) / "served_model.py"


def test_whoever_loads_a_model_is_warned_of_nothing() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        runpy.run_path(str(SERVED), run_name="served")
    assert [str(warning.message) for warning in told if "predict" in str(warning.message)] == []
