"""Work stores of two kinds, and machines that share one."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.store_servers import BUCKET


@dataclass(frozen=True)
class Figures:
    """The result of a step."""

    value: int
    place: Path


@pytest.fixture(params=["file", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty work store."""
    if request.param == "file":
        return f"file://{tmp_path}/shared"
    request.getfixturevalue("s3")
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a block in the working folder of a machine, which shares a store."""
    from varjepa.config.operations import WorkSection
    from varjepa.tasks.steps import in_use
    from varjepa.tasks.work_store.opened import shared_work

    monkeypatch.setattr(in_use, "_held", {})  # marks of this process belong to other folders

    @contextmanager
    def entered(name: str, uri: str, **settings: Any) -> Any:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        monkeypatch.chdir(home)
        with shared_work(WorkSection(uri=uri, **settings)) as results:
            yield results

    return entered
