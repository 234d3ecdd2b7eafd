"""Random requests to a served model: sound rows with strange cells, names, shapes and parameters, or damaged bodies."""

import copy
import json
import random
from dataclasses import dataclass
from typing import Any

CELLS: tuple[Any, ...] = (
    None, True, False, 0, -1, 0.5, 1e308, -1e308, 10**30, 2**63, float("nan"), float("inf"), "", " ", "NA", "nan",
    "1e5", "12", "1,5", "true", "x" * 10_000, "é", "🦄", "\ud800", "\x00", "<script>", "2020-02-30", "9999-12-31",
    "0001-01-01", [], [1], {}, {"a": 1}, [[]],
)  # fmt: skip

NAMES = ("", "age", "*", "a\nb", "é", "__class__", "prediction", "x" * 300)

PARAMS: tuple[Any, ...] = (
    None, [], "x", {}, {"batch_size": 0}, {"batch_size": -1}, {"batch_size": 10**30}, {"batch_size": "2"},
    {"batch_size": 2.5}, {"columns": ""}, {"columns": "prediction"}, {"columns": "reasons"}, {"columns": "nothing"},
    {"columns": ["prediction"]}, {"columns": "prediction,prediction"}, {"unknown": 1},
)  # fmt: skip

# Not deep nesting: MLflow itself answers 500, before the model sees the request.
DAMAGE = ("{", "[", '"', "\x00", "nul", "\\u12", "1e", ",,", "}" * 20)


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        body: to send.
        rows: it asks about, if it is sound but for its cells; None if it may be refused as a whole.
    """

    body: bytes
    rows: int | None


def hostile_request(draw: random.Random, sound: dict[str, Any]) -> Asked:
    """A request about copies of a sound row."""
    rows = [copy.deepcopy(sound) for _ in range(draw.choice([0, 1, 1, 2, 5]))]
    for row in rows:
        for name in draw.sample(sorted(row), draw.choice([0, 0, 1, 2])):
            row[name] = draw.choice(CELLS)
    whole = True
    if draw.random() < 0.2 and rows:
        row, whole = draw.choice(rows), False
        row.pop(draw.choice(sorted(row)))
    if draw.random() < 0.2 and rows:
        draw.choice(rows)[draw.choice(NAMES)] = draw.choice(CELLS)
        whole = False
    body: dict[str, Any] = _shaped(draw, rows)
    if draw.random() < 0.3:
        body["params"], whole = draw.choice(PARAMS), False
    text = json.dumps(body)
    if draw.random() < 0.2:
        at, whole = draw.randrange(len(text) + 1), False
        text = text[:at] + draw.choice(DAMAGE) + text[at + draw.choice([0, 1, 10]) :]
    return Asked(text.encode("utf-8", "surrogatepass"), len(rows) if whole else None)


def _shaped(draw: random.Random, rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = sorted({name for row in rows for name in row})
    match draw.randrange(5):
        case 0:
            return {"dataframe_split": {"columns": names, "data": [[row.get(name) for name in names] for row in rows]}}
        case 1:
            return {"inputs": {name: [row.get(name) for row in rows] for name in names}}
        case 2:
            return {"instances": rows}
        case _:
            return {"dataframe_records": rows}
