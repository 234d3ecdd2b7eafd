"""YAML that nobody means: it ends in words, at once, whatever it holds."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa.config import BenchmarkConfig, RetrainConfig, StudyConfig, load_config, study_config
from varjepa.config.yaml_text import BYTES, read_yaml
from varjepa.data.read.contract import Contract, load_contract
from varjepa.errors import ConfigError

SECONDS = 1.0
"""Seconds of the processor that reading a text of this file may take; most take a millisecond."""

START = "data: {name: sim}\n"


def bomb(levels: int = 9, width: int = 9) -> str:
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join([*lines, f"data: {{path: x.csv, drop: *a{levels - 1}}}"])


def merged_bomb(levels: int = 30) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"] + [
        f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, <<: *a{n - 1}}}" for n in range(1, levels)
    ]
    return "\n".join(lines)


TEXTS = {
    "a bomb of aliases": bomb(), "a bomb of merged keys": merged_bomb(), "an alias of itself": "a: &a [*a]\ndata: *a",
    "a mapping of itself": "data: &d {name: *d}", "an unknown alias": "data: *nothing",
    "deep mappings": "\n".join(" " * n + "a:" for n in range(400)), "deep lists": "data: " + "[" * 40_000,
    "deep closed lists": "data: " + "[" * 10_000 + "]" * 10_000, "deep flow mappings": "data: " + "{a: " * 10_000,
    "a list as a key": "? [1, 2]\n: 3", "a mapping as a key": "{? {a: 1} : 3}",
    "a list as a key, deep": "data: {[a]: 1}",
    "a date that is none": "data: {name: 2026-02-30}", "a time that is none": "data: {name: 2026-01-01 25:61:00}",
    "year zero": "data: {name: 0000-01-01}", "a date by its tag": "data: !!timestamp tomorrow",
    "text as a number": "data: !!int x",
    "text as a float": "data: !!float x", "text as a truth": "data: !!bool x", "text as bytes": "data: !!binary '*'",
    "a number as a set": "data: !!set 3", "pairs": "data: !!pairs [a]", "an order": "data: !!omap [a]",
    "code": "data: !!python/object/apply:os.system ['true']",
    "a tag of nobody": "data: !nobody x", "a huge number": "data: " + "9" * 5_000,
    "a huge hexadecimal": "data: 0x" + "f" * 5_000,
    "a huge binary": "data: 0b" + "1" * 5_000, "a huge number of base 60": "data: " + ":".join(["59"] * 3_000),
    "half a surrogate": 'data: {name: "\\ud800"}', "a NUL": 'data: {path: "a\\0b"}',
    "a control character": "data: a\x01b",
    "two documents": "a: 1\n---\nb: 2", "a directive": "%YAML 9.9\n---\na: 1", "tabs": "data:\n\t- a",
    "an open quote": "data: 'a",
    "a long key": "x" * 300_000 + ": 1", "a long value": "training: {lr: " + "x" * 300_000 + "}",
    "many unknown keys": "\n".join(f"k{n}: 1" for n in range(10_000)),
    "a merge of a number": "data: {<<: 3}", "numbers as keys": "{1: 2, 3: 4}", "a truth as a key": "yes: no",
    "null as a key": "~: 3",
    "too many values": "data: [" + "1," * 500_001 + "]", "sections that are lists": "data: []",
    "sections that are texts": "data: x\ntraining: y",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_it_ends_in_words_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(TEXTS[name], encoding="utf-8")
    for load in (load_config, load_contract):
        began = time.process_time()
        with pytest.raises(ConfigError) as raised:
            load(path)
        assert time.process_time() - began < SECONDS * (4 if name == "too many values" else 1)
        assert len(str(raised.value)) < 3_000
        assert str(raised.value).isprintable()


def test_files_without_an_end_are_refused(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path / "large.yaml"):
        if path.parent == tmp_path:
            path.write_bytes(b"#" * (BYTES + 1))
        with pytest.raises(ConfigError, match="more than 16 MiB"):
            load_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / ("x" * 5_000))
    with pytest.raises(ConfigError):
        load_config("a\0b.yaml")


OVERRIDES = [
    ("model.pred_n_layers", "1000000000000000000000000000000", "less than or equal to 1000"), ("model.n_layers",
    "1e30", "exceeded maximum size"),
    ("model.d_hidden", "true", "not true or false"), ("training.seed", "off", "not true or false"), ("training.lr",
    "yes", "not true or false"),
    ("probe.l2", "[0.1, true]", "not true or false"), ("training.lr", ".nan", "finite"), ("training.lr", ".inf",
    "finite"),
    ("training.lr", "-.inf", "finite"), ("training.lr", "1e999", "finite"), ("training.max_epochs", ".inf", "finite"),
    ("training.max_epochs", ".nan", "finite"), ("gate.margin", "1e999", "finite"), ("data.split.seed",
    "99999999999999999999999", "less than or equal"),
    ("training.batch_size", "0x7fffffffffffffffffffffff", "less than or equal"), ("training.memory", "1e300",
    "less than or equal"),
    ("training.epoch_rows", "1e15", "less than or equal"), ("preprocess.workers", "1000000000", "less than or equal"),
    ("data.name", "2026-02-30", "is no date"), ("data.name", "[*a]", "not valid YAML"), ("data.name", "1\nx: 2",
    "more than one value"),
    ("data.name", "{[a]: b}", "a key is a list"), ("data.path", '"a\\0b"', "NUL"), ("contract.path", '"a\\0b"', "NUL"),
    ("registry.name", "x" * 1_000, "at most 200"), ("model.d_hidden", "1" + "0" * 4_500, "too large"),
    ("data.name", "'\udc80'", "not valid YAML"), ("uncertainty.tolerance", "1e40", "less than or equal"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "words"), OVERRIDES)
def test_overrides_are_bounded_too(key: str, value: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(START)
    with pytest.raises(ConfigError, match=words) as raised:
        load_config(tmp_path / "job.yaml", [f"{key}={value}"])
    assert len(str(raised.value)) < 1_000


def test_a_network_that_no_machine_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"have about .* weights \(.*GiB\), which no machine holds"):
        load_config(Path(__file__).parents[3] / "configs" / "sim.yaml", ["model.d_hidden=65536", "model.n_layers=1000"])
    with pytest.raises(ConfigError, match="less than or equal"):
        study_config(["d_hidden=1000000"])


@pytest.mark.parametrize("schema", [RetrainConfig, StudyConfig, BenchmarkConfig, Contract])
def test_every_number_has_bounds(schema: Any) -> None:
    """Except what a table or a database decides: limits of a contract, values of parameters, versions."""
    free = {"min", "max", "parameters", "at"}

    def open_ended(node: Any, name: str = "") -> list[str]:
        if isinstance(node, list):
            return [found for item in node for found in open_ended(item, name)]
        if not isinstance(node, dict) or name in free:
            return []
        numeric = node.get("type") in ("integer", "number")
        own = [name] if numeric and not {"maximum", "exclusiveMaximum"} & set(node) else []
        return own + [
            found for key, item in node.items() for found in open_ended(item, key if isinstance(item, dict) else name)
        ]

    assert open_ended(schema.model_json_schema()) == []


def test_what_people_write_is_still_read() -> None:
    text = "base: &b {lr: 1e-3}\ntraining: {<<: *b, seed: 0x10}\n2020: {kind: numeric}\nyes: 1_000\n1e5: 2015-01-01\n"
    content = read_yaml(text, "x")
    assert content["training"] == {"lr": 1e-3, "seed": 16}
    assert list(content) == ["base", "training", "2020", "yes", "1e5"]
    assert read_yaml('{"a": {"b": [1, 2.5, null, true, "\\u00e9"]}}', "x") == {"a": {"b": [1, 2.5, None, True, "é"]}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=8,
)  # fmt: skip
KEYS = sorted(RetrainConfig.model_fields)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), PLAIN, max_size=4))
def test_any_content_is_valid_or_refused_with_words(content: dict[str, Any]) -> None:
    from varjepa.config import parse_config

    with suppress(ConfigError):
        parse_config(content)


@settings(max_examples=100)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("{}[]:,&*!|>-?%@'\" \n01e.a", max_size=60)
)
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    with suppress(ConfigError):
        read_yaml(text, "x")
