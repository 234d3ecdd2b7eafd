"""`init --set`, and gap words that may be values."""

from pathlib import Path

import polars as pl
import pytest

from varjepa.config import load_config
from varjepa.data.read.contract import load_contract
from varjepa.errors import ConfigError, DataError, VarjepaError
from varjepa.flows.plan import plan
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


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("data.label=price", "data.drop=[price]"), 'data.drop names the label "price"'),
        (("data.label=price", "data.split.columns=[price]"), 'split.columns names the label "price"'),
        (("data.split.columns=[x, vener]",), 'data.split.columns names "vener"'),
        (("gate.subgroups=[roof]",), 'gate.subgroups names "roof"'),
        (("data.rename={x: price}",), 'several columns are called "price"'),
        (("data.split.train=0.7", "data.split.validation=0.2", "data.split.calibration=0.1"), "rows for the test part"),
    ],
)
def test_what_a_retrain_would_refuse_is_not_written(begun, overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(VarjepaError, match=said):
        begun(*overrides)
    assert not Path("houses.yaml").exists()
    assert not Path("contracts").exists()


def test_new_names_of_columns_are_those_of_config_and_contract(begun) -> None:
    assert begun("data.rename={x: rooms, price: cost}", "data.label=cost").label == "cost"
    assert load_config("houses.yaml").data.label == "cost"
    assert {"rooms", "cost"} < load_contract("contracts/houses.yaml").columns.keys()


@pytest.mark.parametrize("name", ["a\nb", "x\x01", "x" * 240])
def test_any_name_of_a_file_gives_a_name_of_a_model(begun, name: str) -> None:
    Path(f"{name}.csv").write_text(HOUSES)
    started = initialise(f"{name}.csv", label=None, out=Path(f"{name}.yaml"), force=False)
    assert load_config(started.config).registry.name


@pytest.mark.parametrize("out", ["houses.csv", "./houses.csv"])
def test_the_table_itself_is_not_overwritten(begun, out: str) -> None:
    with pytest.raises(ConfigError, match="is the table itself"):
        initialise("houses.csv", label=None, out=Path(out), force=True)
    assert Path("houses.csv").read_text() == HOUSES


@pytest.mark.slow
def test_cells_and_names_may_look_like_secrets_or_hold_nul(begun) -> None:
    words = ("password=hunter2", "https://u:pw@host/x", "ok")
    rows = {"a\0b": [row % 7 / 3 for row in range(90)], "y": [words[row % 3] for row in range(90)]}
    pl.DataFrame(rows | {"word": [*rows["y"][1:], "ok"]}).write_parquet("t.parquet")
    initialise("t.parquet", label="y", out=None, force=False)
    assert load_contract("contracts/t.yaml").columns["y"].values == tuple(sorted(words))
    assert plan(load_config("t.yaml"))["columns"] == {"a\0b": "numeric", "word": "categorical", "y": "label"}
    with pytest.raises(DataError, match=r'"y" holds text, for example .*Expected numbers\. Check data\.task'):
        plan(load_config("t.yaml", ["data.task=regression"]))
