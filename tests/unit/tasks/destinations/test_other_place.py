"""OUT is never the table that a command reads: --force would replace the rows by the answers."""

from pathlib import Path

import pytest

from varjepa.errors import ConfigError
from varjepa.tasks.destinations.destination import require_other_place

SAME, INSIDE = "is the table that is read", "would be one of the files of the table"
REFUSED = {
    ("new.csv", "new.csv"): SAME,
    ("new.csv", "day/../new.csv"): SAME,
    ("new.csv", "link.csv"): SAME,
    ("${NEW}", "new.csv"): SAME,
    ("delta://rows", "rows/"): SAME,
    ("s3://bucket/new.csv", "s3://bucket/new.csv"): SAME,
    ("sqlite:///shop.db#people", "sqlite:///shop.db#people"): SAME,
    ("{{ run_date }}.csv", "{{run_date}}.csv"): SAME,
    ("day", "day/scores.csv"): INSIDE,
    ("day", "day/part=2/scores.csv"): INSIDE,
    ("day/*.csv", "day/scores.csv"): INSIDE,
    ("s3://bucket/day/", "s3://bucket/day/scores.parquet"): INSIDE,
}
WELCOME = [
    ("new.csv", "scores.csv"), ("day", "scores.csv"), ("day", "day/_scores.csv"), ("day", "day/out/scores.csv"),
    ("day/*.csv", "day/scores.parquet"), ("s3://bucket/new.csv", "new.csv"),
    ("sqlite:///shop.db#people", "sqlite:///shop.db#scores"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEW", str(tmp_path / "new.csv"))
    for place in (tmp_path / "new.csv", tmp_path / "day" / "a.csv"):
        place.parent.mkdir(exist_ok=True)
        place.write_text("a\n1\n")
    Path("link.csv").symlink_to("new.csv")


@pytest.mark.parametrize(("places", "reason"), REFUSED.items(), ids=map(" to ".join, REFUSED))
def test_a_table_is_not_replaced_by_the_answers_to_it(places: tuple[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        require_other_place(*places)


@pytest.mark.parametrize("places", WELCOME, ids=map(" to ".join, WELCOME))
def test_any_other_place_will_do(places: tuple[str, str]) -> None:
    require_other_place(*places)
