"""Keys of a YAML file are changed, and the rest of its text stays."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from varjepa.config.edited import changed_content, edited_yaml
from varjepa.config.yaml_text import dump_yaml, read_yaml
from varjepa.errors import ConfigError

CHANGES = {"training.lr": 0.00137, "model.n_layers": 4, "masking.num_targets": 2}

FILES = {
    "block": "# top\nmodel:\n  # size\n  n_layers: 8  # deep\n  d_hidden: 64\ntraining:\n  lr: 1e-3 # rate\n# end\n",
    "flow": "model: {n_layers: 8, d_hidden: 64}  # sizes\ntraining: {lr: 1.0e-3, seed: 1}\n",
    "flow over lines": "model:\n  {d_hidden: 64,\n   n_layers: 8,   # deep\n   n_heads: 2}\ntraining: {seed: 1\n}\n",
    "trailing comma": "model: {d_hidden: 64, }\ntraining: {lr: 1,}\n",
    "without sections": "data: {name: sim}\n",
    "without the last line end": "data: {name: sim}",
    "empty": "",
    "comment only": "# nothing yet\n",
    "empty sections": "model:\ntraining: {}\nmasking: null\n",
    "quoted keys": "\"model\":\n  'n_layers': 8\n",
    "anchors": "model: &m {n_layers: 8}\nother: *m\n",
    "json": '{"model": {"n_layers": 8}, "training": {"lr": 0.1}}',
    "document marks": "---\nmodel: {n_layers: 8}\n...\n",
    "text in lines": "note: |\n  model:\n    n_layers: 9\nmodel:\n  n_layers: 8\n",
    "wide indent": "model:\n        d_hidden: 64\n        n_layers:\n            8\n",
    "windows": "model:\r\n  n_layers: 8\r\ntraining:\r\n  lr: 1.0\r\n",
    "other letters": "# größe 😀\nname: 日本😀\nmodel: {n_layers: 8}\n",
    "byte order mark": "\ufeffmodel: {n_layers: 8}\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_keys_are_changed_and_nothing_else(text: str) -> None:
    edited = edited_yaml(text, CHANGES)
    assert read_yaml(edited, "edited") == changed_content(read_yaml(text, "before"), CHANGES)
    assert edited_yaml(edited, CHANGES) == edited
    assert edited_yaml(text, {}) == text


@pytest.mark.parametrize("name", ["block", "flow", "flow over lines", "without sections", "text in lines", "windows"])
def test_comments_stay(name: str) -> None:
    comments = [line.partition("#")[2].strip() for line in FILES[name].splitlines() if "#" in line]
    assert all(comment in edited_yaml(FILES[name], CHANGES) for comment in comments)


def test_lines_without_a_changed_key_stay_as_they_are() -> None:
    before, after = FILES["block"].splitlines(), edited_yaml(FILES["block"], CHANGES).splitlines()
    assert set(before) - set(after) == {"  n_layers: 8  # deep", "  lr: 1e-3 # rate"}
    assert set(after) - set(before) == {
        "  n_layers: 4  # deep", "  lr: 0.00137 # rate", "masking:", "  num_targets: 2"
    }  # fmt: skip


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "just words"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        edited_yaml(text, CHANGES)


NAMES = st.sampled_from(["model", "training", "data", "note"])
KEYS = st.sampled_from(["lr", "seed", "n_layers", "words"])
VALUES: Any = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | st.text(max_size=8)
CONTENT = st.dictionaries(NAMES, st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=2), max_size=3), max_size=3)


@pytest.mark.slow
@given(
    CONTENT,
    st.dictionaries(st.tuples(NAMES, KEYS).map(".".join), VALUES, max_size=3),
    st.sampled_from([None, True, False]),
)
def test_any_file_is_changed_to_what_is_wanted(content: dict, changes: dict[str, Any], flow: bool | None) -> None:
    text = dump_yaml(content, flow=flow)
    assert read_yaml(edited_yaml(text, changes), "edited") == changed_content(content, changes)


def test_marks_count_characters() -> None:
    """What the edits by position rest on."""
    node = yaml.compose("a: 😀\nb: 1\n", Loader=yaml.SafeLoader)
    assert node.value[1][1].start_mark.index == 8
