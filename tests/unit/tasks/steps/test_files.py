"""A file is written whole or not at all, and no other file changes."""

from pathlib import Path

import pytest

from varjepa.tasks.steps.files import write_text


def test_a_file_of_the_user_with_a_similar_name_stays(tmp_path: Path) -> None:
    (tmp_path / "people.tmp").write_text("mine")
    for name in ("people.html", "people.yaml", "ä" * 120 + ".html", ".hidden"):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text(encoding="utf-8") == name
    assert (tmp_path / "people.tmp").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("place", ["none/page.html", "folder"])
def test_an_error_names_the_file_and_leaves_nothing(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(OSError) as raised:  # noqa: PT011 (of several kinds)
        write_text(tmp_path / place, "text")
    assert raised.value.filename == str(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "page.html", "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
