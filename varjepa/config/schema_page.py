"""The configuration as a page for people: a table per section, from the JSON schema, as the code has it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from varjepa.config.retrain import RetrainConfig

Schema = Mapping[str, Any]

INTRODUCTION = (
    "All keys of a retrain job (YAML). Every key has a default, except the source of the table. On the command line, "
    "`--set section.key=value` overrides one."
)


def schema_page() -> str:
    """All keys of a config in Markdown: name, type, default and meaning, a section of the page per section."""
    return f"# Configuration\n\n{INTRODUCTION}\n{key_tables()}\n"


def key_tables(level: int = 2) -> str:
    """The sections of the page alone.

    Args:
        level: of their headings.
    """
    schema = RetrainConfig.model_json_schema()
    return "\n".join(_sections("", schema, schema["$defs"], level))


def _sections(name: str, section: Schema, definitions: Schema, level: int) -> Iterator[str]:
    """A table of the keys of a section, and those of the sections inside, however deep."""
    prefix, keys = f"{name}." if name else "", section["properties"]
    inner = {key: found for key, field in keys.items() if (found := _section_of(field, definitions)) is not None}
    own = {key: field for key, field in keys.items() if key not in inner}
    named = {key: found for key, field in own.items() if (found := _section_named(field, definitions)) is not None}
    if own:
        yield "| key | value | default | meaning |\n| --- | --- | --- | --- |"
    for key, field in own.items():
        cells = (_kind(field, definitions), _default(field), _text(field.get("description", "")))
        yield f"| `{prefix}{key}` | " + " | ".join(cells) + " |"
    for key, found in (inner | {f"{key}.NAME": found for key, found in named.items()}).items():
        form = "A list of sections with these keys. " if keys.get(key, {}).get("type") == "array" else ""
        yield f"\n{'#' * level} `{prefix}{key}`\n\n{form}{_text(found.get('description', ''))}\n"
        yield from _sections(f"{prefix}{key}", found, definitions, level)


def _section_of(field: Schema, definitions: Schema) -> Schema | None:
    """The section that a key holds, or a list of; None for a value."""
    found = _resolved(field.get("items", {}) if field.get("type") == "array" else field, definitions)
    return found if "properties" in found else None


def _section_named(field: Schema, definitions: Schema) -> Schema | None:
    """The section that each name of a mapping has, such as a column; None for a mapping to values."""
    inner = field.get("additionalProperties")
    return _section_of(inner, definitions) if isinstance(inner, dict) else None


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
        items: Schema = field.get("items") or next(iter(field.get("prefixItems", [])), {})
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
