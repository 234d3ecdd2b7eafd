"""What `varjepa init` writes about columns that are not read as they stand."""

from pathlib import Path

import pytest

from benchmarks.messy_tables import MESSY_TABLES
from varjepa.data.read.left_out import MOST_NAMED
from varjepa.flows.show.setup import show_profile
from varjepa.tasks.setup.initialise import initialise


@pytest.mark.slow
def test_rare_categories_and_texts_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = MESSY_TABLES["shop"](5000, 0)
    path = table.write(tmp_path / "shop.csv")
    started = initialise(str(path), label=table.label, out=tmp_path / "shop.yaml", force=False)
    text = started.config.read_text()
    for name in ("ship to", "product"):
        assert started.profiles[name].kind == "text"
        assert f'# "{name}" becomes 16 numbers, an embedding of its words and n-grams' in text
    assert "are rare categories" in started.doubts["supplier"]
    assert set(started.doubts) == {"supplier"}
    show_profile(started)
    shown = " ".join(capsys.readouterr().err.split())
    assert "┃ spelling" in shown
    assert '"product" becomes 16 numbers' in shown


def test_a_table_in_plain_spelling_has_no_column_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("a,b\n" + "".join(f"{k % 7},{'xyz'[k % 3]}\n" for k in range(60)))
    show_profile(initialise(str(path), label="b", out=tmp_path / "plain.yaml", force=False))
    assert "┃ spelling" not in capsys.readouterr().err


def test_long_names_are_broken_and_not_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, path = "od280/od315_of_diluted_wines_and_of_all_others_in_this_cellar", tmp_path / "wine.csv"
    path.write_text(f"{name},b\n" + "".join(f"{k / 7},{'xyz'[k % 3]}\n" for k in range(60)))
    show_profile(initialise(str(path), label="b", out=tmp_path / "wine.yaml", force=False))
    shown = capsys.readouterr().err
    cells = [line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") > 2]
    assert "…" not in shown
    assert name in "".join(cells)


@pytest.mark.slow
def test_of_hundreds_of_columns_those_to_look_at_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, names = tmp_path / "wide.csv", [f"c{j}" for j in range(300)]
    cells = [[f"{(k * (j % 80 + 3)) % 97 / 7:.3f}" for j in range(300)] for k in range(80)]
    for k, row in enumerate(cells):
        row[250], row[270], row[280] = "same", f"{k % 28 + 1:02}.03.2026", "yn"[k % 2]
    path.write_text("\n".join(",".join(row) for row in [names, *cells]) + "\n")
    show_profile(initialise(str(path), label="c280", out=tmp_path / "wide.yaml", force=False))
    shown = capsys.readouterr().err
    listed = [line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") > 2]
    listed = [name for name in listed if name]  # other lines go on with a cell of the one before
    assert len(listed) == 50
    assert listed[-3:] == ["c250", "c270", "c280"]
    assert listed[:3] == ["c0", "c1", "c2"]
    assert "250 more columns: 250 numeric. The contract names all of them." in shown
    assert len(shown.splitlines()) < 80, shown


def test_of_many_columns_that_are_left_out_alike_a_few_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pixels at the edges of pictures filled the table, and a hundred lines of the configuration."""
    path, constant = tmp_path / "pixels.csv", 120
    names = [*(f"p{j}" for j in range(constant)), *(f"x{j}" for j in range(45)), "id", "y"]
    cells = [[*["0"] * constant, *(f"{(k * (j + 3)) % 97 / 7:.3f}" for j in range(45)), f"key-{k * 7919}", "yn"[k % 2]]
             for k in range(120)]  # fmt: skip
    path.write_text("\n".join(",".join(row) for row in [names, *cells]) + "\n")
    started = initialise(str(path), label="y", out=tmp_path / "pixels.yaml", force=False)
    show_profile(started)
    shown = capsys.readouterr().err
    listed = [line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") > 2]
    assert [name for name in listed if name.startswith("p")] == [f"p{j}" for j in range(MOST_NAMED)]
    assert {"x0", "id", "y"} <= set(listed)
    notes = [line for line in started.config.read_text().splitlines() if line.startswith("#") and "feature" in line]
    assert notes[0].startswith(f'# {constant} columns are not features, each as it has a single value: "p0", "p1", ')
    assert notes[0].endswith(f"and {constant - MOST_NAMED} more.")
    assert notes[1] == '# "id" is not a feature: it identifies rows.'
