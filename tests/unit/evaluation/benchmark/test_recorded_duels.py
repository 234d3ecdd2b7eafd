"""Recorded duels are judged together, and the page's file holds what the command writes."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.recorded_duels import main

RECORDED = Path(__file__).parents[4] / "docs" / "benchmark-duels.csv"


def outcomes(path: Path) -> Counter[str]:
    with path.open() as file:
        return Counter(duel["outcome"] for duel in csv.DictReader(file))


def test_the_recorded_file_is_what_the_command_writes(tmp_path: Path) -> None:
    again = tmp_path / "duels.csv"
    shutil.copy(RECORDED, again)
    main(again)
    assert again.read_text() == RECORDED.read_text()
    assert outcomes(again) == {"win": 13, "tie": 38, "loss": 3}


@pytest.mark.parametrize(("copies", "outcome"), [(1, "loss"), (20, "tie")])
def test_one_clear_duel_of_many_is_chance(tmp_path: Path, copies: int, outcome: str) -> None:
    """An interval that ends a little below 0 is a loss on its own; of 20 such duels none is."""
    path = tmp_path / "duels.csv"
    line = "a,mlp,t_jepa,raw,-0.01000,-0.01900,-0.00100,loss\n"
    path.write_text("dataset,predictor,features,rival,difference,low,high,outcome\n" + copies * line)
    main(path)
    assert outcomes(path) == {outcome: copies}
