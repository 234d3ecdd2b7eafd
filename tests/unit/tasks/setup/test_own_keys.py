"""`init --set`, and gap words that may be values."""

from pathlib import Path

import pytest

from varjepa.config import load_config
from varjepa.errors import ConfigError
from varjepa.tasks.setup.initialise import Started, initialise

HOUSES = "id;veneer;x;price\n" + "".join(
    f"{row};{('None', 'Brick', 'NA', 'None')[row % 4]};{(row * 7) % 13 if row % 5 else 'NA'};{row * 10}\n"
    for row in range(80)
)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text(HOUSES)

    def begin(*overrides: str) -> Started:
        return initialise("houses.csv", label=None, out=None, force=True, overrides=overrides)

    return begin


def test_gap_words_of_text_columns_are_counted(begun) -> None:
    doubts = begun().doubts
    assert '"None" (40 cells), "NA" (20 cells)' in doubts["veneer"]
    assert "x" not in doubts  # among numbers, a word is no value


def test_a_word_that_is_left_out_of_the_gap_words_is_a_value(begun) -> None:
    started = begun('data.na_values=["", "NA"]')
    assert started.profiles["veneer"].distinct == 2
    assert started.profiles["veneer"].missing == 20
    assert load_config("houses.yaml").data.na_values == ("", "NA")
    assert "None" in Path("contracts/houses.yaml").read_text()


def test_own_keys_are_written_into_the_config(begun) -> None:
    begun("training.max_epochs=3", "data.label=price", "registry.name=mine")
    config = load_config("houses.yaml")
    assert (config.training.max_epochs, config.data.label, config.registry.name) == (3, "price", "mine")
    assert "price" not in (config.data.split.columns or ())


@pytest.mark.parametrize("override", ["trainin.lr=1", "training.lr=fast", "data.label", "data.separator=ab"])
def test_wrong_keys_are_named_before_anything_is_written(begun, override: str) -> None:
    with pytest.raises(ConfigError):
        begun(override)
    assert [path.name for path in Path().iterdir()] == ["houses.csv"]
