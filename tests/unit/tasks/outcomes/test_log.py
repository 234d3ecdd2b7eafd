"""Labels are joined to the log of the service: to the answers of one version, each row once."""

from pathlib import Path

import polars as pl
import pytest

from varjepa.errors import DataError
from varjepa.tasks.outcomes.labels import _scores, answers_of
from varjepa.tasks.serving.prediction_log import PredictionLog

OLD, NEW = "models:/people/1", "models:/people/2"


@pytest.fixture
def log(tmp_path: Path) -> str:
    """Two rows that version 1 has answered with version 2 in its shadow, one of them again; then version 2 answers."""
    writer = PredictionLog(tmp_path, ("id",), 10**9)
    for version, role, moment, ids, words in (
        (OLD, "answer", 1.0, [1, 2], ["a", "b"]), (NEW, "shadow", 1.0, [1, 2], ["c", "d"]),
        (OLD, "answer", 2.0, [2], ["e"]), (NEW, "answer", 3.0, [3], ["f"]),
    ):  # fmt: skip
        writer.add(version, role, moment, pl.DataFrame({"id": ids}), pl.DataFrame({"prediction": words}))
    writer.close()
    return str(tmp_path)


@pytest.mark.parametrize(("version", "expected"), [
    (OLD, [(1, "a"), (2, "e")]), (NEW, [(1, "c"), (2, "d"), (3, "f")]), (None, [(1, "a"), (2, "e"), (3, "f")]),
])  # fmt: skip
def test_a_version_is_judged_by_its_own_newest_answers(log: str, version: str | None, expected: list) -> None:
    found = answers_of(_scores(log, "id", ()), log, "id", version)
    assert found.select("id", "prediction").rows() == expected


def test_a_log_without_answers_of_the_model_is_refused(log: str) -> None:
    with pytest.raises(DataError, match=r'no answers of models:/people/3\. .*"models:/people/1", "models:/people/2"'):
        answers_of(_scores(log, "id", ()), log, "id", "models:/people/3")
