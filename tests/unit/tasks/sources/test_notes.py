"""What is unusual about a table is said once, however often a command opens it."""

import logging
from pathlib import Path

import pytest

from varjepa.config import DataSection
from varjepa.tasks.sources.open_table import find_table, opened_table
from varjepa.tasks.steps.log import log


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSection:
    """Of a table whose encoding is worth a note."""
    monkeypatch.setattr(log, "propagate", True)  # a command in this process may have turned it off
    (tmp_path / "orte.csv").write_bytes("Ort;Preis\nKöln;1,5\nMünchen;2,5\n".encode("latin-1") * 20)
    return DataSection(path=str(tmp_path / "orte.csv"))


@pytest.mark.parametrize(("quiet", "expected"), [(False, 1), (True, 0)])
def test_a_table_that_is_opened_twice_is_noted_once(
    data: DataSection, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, quiet: bool, expected: int
) -> None:
    with caplog.at_level(logging.INFO, log.name):
        found = find_table(data, tmp_path, quiet=quiet)
        for text in ((), ("Ort",)):
            assert found.open(text).frame.collect().height > 0
    assert caplog.text.count("Read as Windows-1252") == expected


def test_another_look_at_the_same_place_says_it_again(data: DataSection, caplog: pytest.LogCaptureFixture) -> None:
    """A schedule reads a table every night, and each run has a log of its own."""
    with caplog.at_level(logging.INFO, log.name):
        for _ in range(2):
            with opened_table(data):
                pass
    assert caplog.text.count("Read as Windows-1252") == 2
