"""Every key of a config says what it means, in the schema and on the page for people."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from varjepa.config import RetrainConfig, as_flat, parse_config
from varjepa.config.schema_page import schema_page


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield prefix + name, kind.__doc__
            yield from _keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description


def test_every_key_has_a_description() -> None:
    described = dict(_keys(RetrainConfig))
    assert len(described) > 100
    assert [key for key, words in described.items() if not (words or "").strip().endswith((".", "..."))] == []


def test_the_page_has_every_key_once_and_no_broken_row() -> None:
    page = schema_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    flat = set(as_flat(parse_config({"data": {"name": "sim"}})))
    listed = {key for key in flat if f"## `{key}`\n\nA list of sections" in page}
    names = [row.split("`")[1] for row in rows]
    shown = [name for name in names if name.rpartition(".")[0] not in listed and ".NAME." not in name]
    assert {*shown, *listed} == flat
    assert len(shown) + len(listed) == len(flat)
    assert {"notify.urls", "data.columns.NAME.not_gaps"} <= {*names}
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
