"""A table that nothing spells plainly, from `init` to scores."""

from pathlib import Path

import polars as pl
import yaml

from tests.flows.conftest import SMALL


def german_table(rows: int = 200) -> str:
    """Decimal commas, points for thousands, gap words, days before months, times."""
    head = "Betrag;Menge;Einwohner;Kauf;Uhrzeit;Art;Ziel\n"
    lines = []
    for k in range(rows):
        amount = f"{1000 + k * 31.7:,.2f}".translate(str.maketrans(",.", ".,"))
        people = f"{(k * 7919) % 90_000:,}".replace(",", ".")
        level = "k.A." if k % 6 == 0 else f"{k % 23},5"
        day = f"{1 + k % 12:02}/{1 + k % 11:02}/{2015 + k % 8}"
        lines.append(
            f"{amount} €;{level};{people};{day};{k % 24}:{k % 60:02};{'abc'[k % 3]};{'ja' if k % 5 < 2 else 'nein'}\n"
        )
    return head + "".join(lines)


def test_german_text_goes_from_init_to_scores(varjepa, tmp_path: Path) -> None:
    home, text = tmp_path / "home", german_table()
    (tmp_path / "laden.csv").write_text(text)
    started = varjepa("init", tmp_path / "laden.csv", "--label", "Ziel", "--json")
    assert started.code == 0, started.err
    kinds = {name: column["kind"] for name, column in started.json["columns"].items()}
    assert kinds == dict.fromkeys(["Betrag", "Menge", "Einwohner", "Uhrzeit"], "numeric") | {
        "Kauf": "date", "Art": "categorical", "Ziel": "categorical",
    }  # fmt: skip
    formats = {name: column.get("format") for name, column in started.json["columns"].items() if "format" in column}
    assert formats == {
        "Betrag": "1.234,5 €",
        "Menge": "1234,5",
        "Einwohner": "1.234,5",
        "Kauf": "%d/%m/%Y",
        "Uhrzeit": "time of day",
    }
    config = yaml.safe_load((home / "laden.yaml").read_text())
    assert config["data"]["columns"]["Menge"] == {"format": "1234,5", "gaps": ["k.A."]}
    assert "day first" in (home / "laden.yaml").read_text()

    # The same without what init wrote: the model records what was found out.
    del config["data"]["columns"]
    (home / "laden.yaml").write_text(yaml.safe_dump(config | SMALL | {"probe": {"head": "linear"}}))
    worn = text.replace("1.031,70 €", "viel", 1)
    (tmp_path / "laden.csv").write_text(worn)
    answer = varjepa("retrain", home / "laden.yaml", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["data"]["quarantined"] == 1

    (tmp_path / "laden.csv").write_text(text)
    scored = varjepa("score", "models:/laden@champion", tmp_path / "laden.csv", tmp_path / "all.parquet", "--json")
    assert scored.code == 0, scored.err
    # Three rows, whose own cells do not show how they are spelled.
    lines = text.splitlines(keepends=True)
    (tmp_path / "few.csv").write_text("".join([lines[0], *lines[5:8]]))
    assert varjepa("score", "models:/laden@champion", tmp_path / "few.csv", tmp_path / "few.parquet").code == 0
    both = [pl.read_parquet(tmp_path / f"{name}.parquet").drop("row", "odd_columns") for name in ("all", "few")]
    difference = both[0][4:7].select(pl.col("uncertainty", "probability", "anomaly")) - both[1].select(
        "uncertainty", "probability", "anomaly"
    )
    assert difference.select(pl.max_horizontal(pl.all().abs().max())).item() < 1e-4
    # Text that cannot be read.
    (tmp_path / "few.csv").write_text("".join([lines[0], lines[5].replace(lines[5].split(";")[0], "viel")]))
    refused = varjepa("score", "models:/laden@champion", tmp_path / "few.csv", tmp_path / "few.parquet", "--force")
    assert refused.code == 2
    assert "viel" in refused.err
