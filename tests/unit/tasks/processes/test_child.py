"""Server processes: what they find in their environment, and that they end with their block."""

import sys
from pathlib import Path

import pytest

from varjepa.tasks.processes.child import Child

SHOWS = [sys.executable, "-c", "import os, time; print(os.environ.get('MALLOC_ARENA_MAX'), flush=True); time.sleep(60)"]


@pytest.mark.parametrize(("own", "expected"), [(None, "1"), ("4", "4")])
def test_a_server_has_one_heap_unless_the_environment_says_otherwise(
    own: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    if own is not None:
        monkeypatch.setenv("MALLOC_ARENA_MAX", own)
    with Child("shows", SHOWS, tmp_path / "log") as server:
        while server.runs and not (tmp_path / "log").read_text():
            pass
    assert (tmp_path / "log").read_text().strip() == expected
    assert not server.runs
