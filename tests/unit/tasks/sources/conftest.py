"""A table as it lies in many places, and a way to read it from each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from varjepa.config import DataSection

PEOPLE = pl.DataFrame({
    "id": [1, 2, 3, 4],
    "age": [31.5, None, 44.25, 60.0],
    "job": ["clerk", "smith; \"old\"", None, "näherin"],
    "member": [True, False, None, True],
})  # fmt: skip


@dataclass(frozen=True)
class Read:
    """What came of reading a place."""

    frame: pl.DataFrame
    fingerprint: str
    description: str


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Read]:
    """Reads a table through the entrance, and checks that nothing is left behind."""
    from varjepa.tasks.sources.open_table import find_table, reads
    from varjepa.tasks.sources.stages import stage_for
    from varjepa.tasks.steps.reuse import WORK

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)

    def call(path: str, **settings: Any) -> Read:
        data = DataSection(path=path, **settings)
        try:
            with stage_for(path) as stage:
                table = find_table(data, stage)
                with reads(data):
                    return Read(table.open(None).frame.collect(), table.fingerprint(), table.description)
        finally:
            assert [file for file in WORK.glob("*") if file.name.startswith("stage-")] == []

    return call
