"""Every key of a config as tables, from the JSON schema, so that the page never disagrees with the code."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from varjepa.config import RetrainConfig

Schema = Mapping[str, Any]


def configuration_page() -> str:
    """Markdown: a section of the page for each section of a config."""
    schema = RetrainConfig.model_json_schema()
    return "\n".join(_sections(schema, schema["$defs"]))


def _sections(schema: Schema, definitions: Schema) -> Iterator[str]:
    for name, entry in schema["properties"].items():
        is_list = entry.get("type") == "array"
        section = _resolved(entry["items"] if is_list else entry, definitions)
        form = "A list of sections with these keys. " if is_list else ""
        yield f"\n### `{name}`\n\n{form}{_text(section.get('description', ''))}\n"
        if keys := section.get("properties"):
            yield from _table(name, keys, definitions)
        else:
            yield f"{_kind(entry, definitions)}; {_default(entry)}"


def _table(section: str, keys: Schema, definitions: Schema) -> Iterator[str]:
    """A line for each key."""
    yield "| key | value, default | meaning |\n| --- | --- | --- |"
    for key, field in keys.items():
        value = f"{_kind(field, definitions)}<br>{_default(field)}"
        cells = (f"`{section}.{key}`{{ .key }}", value, _text(field.get("description", "")))
        yield "| " + " | ".join(cells) + " |"


def _resolved(field: Schema, definitions: Schema) -> Schema:
    """The definition that a field refers to, or the field itself."""
    reference = field.get("$ref") or next((part["$ref"] for part in field.get("allOf", []) if "$ref" in part), None)
    return definitions[reference.rsplit("/", 1)[-1]] if reference else field


def _kind(field: Schema, definitions: Schema) -> str:
    """What a field may hold, in a few words."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(part, definitions) for part in field["anyOf"]))
    if "enum" in field or "const" in field:
        return ", ".join(f"`{_escaped(str(value))}`" for value in field.get("enum", [field.get("const")]))
    field = _resolved(field, definitions)
    kind = field.get("type", "any value")
    if kind == "array":
        items = field.get("items") or next(iter(field.get("prefixItems", [])), {})
        return f"list of {_kind(items, definitions)}"
    if kind == "object":
        return _mapping(field, definitions)
    names = {"integer": "whole number", "string": "text", "boolean": "true, false", "null": "null"}
    return " ".join(filter(None, (names.get(kind, kind), _range(field))))


def _mapping(field: Schema, definitions: Schema) -> str:
    if keys := field.get("properties"):
        return "mapping with " + ", ".join(f"`{key}`" for key in keys)
    inner = field.get("additionalProperties")
    return f"mapping to {_kind(inner, definitions)}" if isinstance(inner, dict) else "mapping"


def _range(field: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join(f"{word} {_number(field[key])}" for key, word in words.items() if key in field)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _default(field: Schema) -> str:
    if "default" not in field:
        return "required" if "$ref" not in field else ""
    value = field["default"]
    return f"`{value if isinstance(value, str) and value else _escaped(json.dumps(value))}`"


def _text(text: str) -> str:
    """A description as the cell of a table: on one line, without pipes that would end it."""
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")
