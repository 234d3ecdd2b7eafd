"""Random settings and contracts: one or two values of a valid one replaced, or its text damaged."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import yaml

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 0.0, 0.5, 1.0, -0.5, 1e-12, 1e12, 10**6, 10**18, 10**30, float("nan"),
    float("inf"), "", " ", "auto", "none", "null", "true", "1", "1e5", "nan", "a\nb", "\x1b[31m", "é" * 300, "../../x",
    "/dev/null", "%s", "${HOME}", "<script>", "🦄", "30d", [], [1], ["a"], [[]], [None], {}, {"a": 1}, {"": ""},
    "2020-02-30", "cpu", "cuda:99",
)  # fmt: skip

TEXTS = (
    "<<: *x\n", "&a [*a]\n", "? [a]\n: 1\n", "!!python/object/apply:os.system [ls]\n", "- 1\n", "%TAG ! x\n",
    "---\n...\n---\n", "\t", "\x00", "\ufeff", "'", '"', "{", "}", "[" * 500, "#", ": ", "!!set {a}\n", "!!binary xx\n",
    "2020-13-45: 1\n", "0x" + "f" * 100, "1_000", "0o777", "012", "~", "=", "\u2028", "\x85", "key: |\n x\n",
    "a: &b [1]\nc: [" + "*b," * 200 + "]\n",
)  # fmt: skip

PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False), "integer": (0, 1, 2, 3, 4, 8, 17, 50), "number": (0, 0.01, 0.1, 0.3, 0.5, 0.9, 1, 2),
    "string": ("age", "job", "a", "30d", "auto"), "null": (None,), "array": ([], ["age"], ["age", "job"]),
}  # fmt: skip


def mutated_content(
    draw: random.Random, content: dict[str, Any], keys: dict[str, list[Any]]
) -> tuple[dict[str, Any], list[str]]:
    """A copy of the content with a few keys of the schema set to plausible or to any values, and which keys."""
    result, chosen = copy.deepcopy(content), draw.sample(sorted(keys), draw.choice([1, 1, 1, 2, 3]))
    for key in chosen:
        *sections, name = key.split(".")
        target = result
        for section in sections:
            target = target.setdefault(section, {}) if isinstance(target.get(section, {}), dict) else {}
        plausible = keys[key] if keys[key] and draw.random() < 0.6 else VALUES
        target[name] = draw.choice(plausible)
    return result, chosen


def damaged_text(draw: random.Random, content: dict[str, Any]) -> str:
    """The content as YAML or JSON, with something inserted, cut or repeated."""
    text = yaml.safe_dump(content) if draw.random() < 0.8 else json.dumps(content)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(text) + 1)
        match draw.randrange(4):
            case 0:
                text = text[:at] + draw.choice(TEXTS) + text[at:]
            case 1:
                text = text[:at] + text[at + draw.randrange(1, 20) :]
            case 2:
                text = text[:at] + text[max(0, at - 30) : at] + text[at:]
            case _:
                text = text[:at] + chr(draw.choice([0, 7, 27, 127, 0x202E, 0xFFFE, *range(32, 127)])) + text[at + 1 :]
    return text


def keys_of(schema: dict[str, Any]) -> dict[str, list[Any]]:
    """Dotted keys of a JSON schema, sections included, with plausible values."""
    return dict(_keys(schema, schema, ""))


def _keys(schema: dict[str, Any], node: dict[str, Any], prefix: str) -> Iterator[tuple[str, list[Any]]]:
    for name, value in node.get("properties", {}).items():
        places = [value, *value.get("anyOf", []), *value.get("allOf", [])]
        yield (
            prefix + name,
            [one for place in places for one in place.get("enum", PLAUSIBLE.get(place.get("type"), ()))],
        )
        for reference in [place["$ref"].rsplit("/", 1)[1] for place in places if "$ref" in place]:
            yield from _keys(schema, schema["$defs"][reference], f"{prefix}{name}.")
