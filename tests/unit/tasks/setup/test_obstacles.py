"""`varjepa init` says of a table what a retrain will refuse, and does not tell people to run one."""

from pathlib import Path

import pytest

from varjepa.errors import ConfigError
from varjepa.flows.show.setup import show_profile
from varjepa.tasks.setup.initialise import initialise
from varjepa.tasks.setup.project import start_project

ROWS = "".join(f"{k % 7},{'xyz'[k % 3]},same\n" for k in range(60))
REFUSED = {
    "one row": ("a,b,c\n1,x,same\n", "b", ["Only 1 row: a retrain needs at least 10", "The label"]),
    "no column": ("b,c\n" + "x,same\ny,same\n" * 6, "b", ['No column is left to learn from ("c": it has a single']),
    "one class": (f"a,b,c\n{ROWS}", "c", ['The label "c" has a single value: a retrain needs at least two']),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_retrain_will_refuse_is_said(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, label, said = REFUSED[kind]
    (tmp_path / "t.csv").write_text(text)
    started = initialise(str(tmp_path / "t.csv"), label=label, out=tmp_path / "t.yaml", force=False)
    show_profile(started)
    shown = " ".join(capsys.readouterr().err.split())
    for words in said:
        assert words in shown
        assert words in started.config.read_text()
    assert "A retrain will refuse this table:" in shown
    assert "then run" not in shown
    assert started.summary()["obstacles"] == list(started.obstacles)


def test_a_usable_table_has_no_obstacle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(f"a,b,c\n{ROWS}")
    started = initialise(str(tmp_path / "t.csv"), label="b", out=tmp_path / "t.yaml", force=False)
    show_profile(started)
    assert started.obstacles == ()
    assert "then run" in capsys.readouterr().err


def test_a_misspelt_label_comes_before_files_that_exist(tmp_path: Path) -> None:
    table, config = tmp_path / "t.csv", tmp_path / "model" / "model.yaml"
    table.write_text(f"a,b,c\n{ROWS}")
    start_project(str(table), config.parent, label="b", force=False)
    with pytest.raises(ConfigError, match=r'The label "bb" is not a column of .*Did you mean "b"'):
        initialise(str(table), label="bb", out=config, force=False)
    with pytest.raises(ConfigError, match=r'The label "bb" is not a column of .*Did you mean "b"'):
        start_project(str(table), config.parent, label="bb", force=False)
    with pytest.raises(ConfigError, match="would be overwritten"):
        initialise(str(table), label="b", out=config, force=False)
