"""A table whose names and cells attack whatever shows them, and a home in which every command has seen it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import yaml

from tests.flows.conftest import SMALL
from tests.forked import Forks, Said, Start

HIT = "window.hit=77"
"""What the browser may never run."""

MARKUP = f'<img src=x onerror="{HIT}">'
SCRIPT = f"</td></script><script>{HIT}</script>"
ESCAPES = "red\x1b[31m\x1b]0;owned\x07\x9b2J"
TURNED = "photo\u202egpj.exe\u2066"
FORMULA = '=HYPERLINK("http://127.0.0.1:9","x")'
LINK = f"[x](javascript:{HIT}) | `a` https://127.0.0.1:9/evil"
NAMES = {
    "markup": MARKUP, "script": SCRIPT, "escapes": ESCAPES, "turned": TURNED, "formula": FORMULA, "link": LINK,
    "line": "two\nlines", "math": r"$\frac{1}{0}$ $x_", "template": "{{ 7 * 7 }}{% raw %}",
    "rich": "[/b][red]x[/] :smile:",
    "quotes": "a\"b'c\\", "plus": "+1+cmd|' /C calc'!A0",
}  # fmt: skip
LABEL = f"<b onmouseover={HIT}>label</b>"
CLASSES = (f"<img src=y onerror={HIT}>", "@SUM(1)")


def hostile_table(rows: int = 260, seed: int = 0) -> pl.DataFrame:
    """Numbers under half of the names, hostile cells under the others, and a label that two of them tell."""
    rng = np.random.default_rng(seed)
    cells, names = list(NAMES.values()), list(NAMES.values())
    columns: dict[str, object] = {name: rng.normal(size=rows).round(3) for name in names[::2]}
    for number, name in enumerate(names[1::2]):
        columns[name] = rng.choice([cells[number], cells[number - 1], MARKUP, "plain"], rows)
    known = columns[names[0]] + rng.normal(0, 0.3, rows) > 0  # type: ignore[operator]  # numbers
    return pl.DataFrame(columns | {LABEL: np.where(known, *CLASSES)})


@pytest.fixture(scope="session")
def hostile_home(forks: Forks, prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The folder in which the commands ran, one after the other, and what they said."""
    home = tmp_path_factory.mktemp("hostile")
    table = hostile_table()
    table.write_parquet(home / "people.parquet")
    table.with_columns(pl.lit(MARKUP).alias(NAMES["turned"])).head(150).write_parquet(home / "new.parquet")
    said: dict[str, Said] = {}
    variables = {"PREFECT_HOME": str(home / "prefect"), "PREFECT_API_URL": prefect_api, "COLUMNS": "200"}

    def call(*words: str) -> None:
        said[words[0]] = forks.start(Start(words, str(home), variables)).said()

    _every_command(home, call)
    return SimpleNamespace(home=home, said=said, table=table, pages=sorted(home.rglob("*.html")))


def _every_command(home: Path, call: Callable[..., None]) -> None:
    call("init", "people.parquet", "--label", LABEL, "--out", "job.yaml")
    job = yaml.safe_load((home / "job.yaml").read_text())
    (home / "job.yaml").write_text(yaml.safe_dump(job | SMALL | {"probe": {"head": "linear"}}))
    contract = home / job["contract"]["path"]
    rules = yaml.safe_load(contract.read_text())
    rules["columns"][NAMES["script"]] = {"kind": "categorical", "values": [MARKUP, "plain", *list(NAMES.values())[:2]]}
    rules["columns"][NAMES["markup"]] |= {"max": 2.0}
    contract.write_text(yaml.safe_dump(rules | {"max_quarantined": 0.5}))
    call("retrain", "job.yaml", "--json")
    model = "models:/" + job["registry"]["name"] + "/1"
    call("models")
    columns = "prediction,probabilities,oddity,reasons,anomaly"
    call("score", model, "people.parquet", "scores.csv", "--columns", columns, "--keep", NAMES["turned"])
    call("impute", model, "new.parquet", "filled.csv")
    call("drift", model, "new.parquet", "--out", "drift.html")
    call("evaluate", model, "people.parquet")
    call("promote", model, "--dry-run")
