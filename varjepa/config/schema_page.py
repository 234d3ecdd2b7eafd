"""The configuration as a page for people: one table per section, made from the schema."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from varjepa.config.retrain import RetrainConfig

TYPES = {
    "integer": "whole number", "string": "text", "array": "list", "object": "mapping", "boolean": "true, false",
}  # fmt: skip
"""Types of the schema -> their words."""

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
"""Bounds of the schema -> their signs."""

HEAD = ("| key | type | default | meaning |", "| --- | --- | --- | --- |")
"""Head of a table."""

INTRODUCTION = (
    "All keys of a retrain job (YAML). Every key has a default, except the source of the table. On the command line, "
    "`--set section.key=value` overrides one."
)


def schema_page() -> str:
    """All keys of a config in Markdown: name, type, default and meaning, a section of the page per section."""
    lines = ["# Configuration", "", INTRODUCTION]
    for name, section, summary in _sections(RetrainConfig, ""):
        lines += ["", f"## {name}", "", summary, "", *HEAD]
        lines += [_row(f"{name}.{key}", key, section) for key in _own_keys(section)]
    if own := _own_keys(RetrainConfig):
        lines += ["", "## Without a section", "", *HEAD, *(_row(key, key, RetrainConfig) for key in own)]
    return "\n".join(lines) + "\n"


def _sections(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel], str]]:
    """Sections of a section, however deep: (dotted name, its class, its description)."""
    for key, field in section.model_fields.items():
        inner = _section_of(field)
        if inner is not None:
            yield f"{prefix}{key}", inner, _one_line(inner.__doc__ or "")
            yield from _sections(inner, f"{prefix}{key}.")


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _own_keys(section: type[BaseModel]) -> list[str]:
    return [key for key, field in section.model_fields.items() if _section_of(field) is None]


def _row(dotted: str, key: str, section: type[BaseModel]) -> str:
    field, schema = section.model_fields[key], section.model_json_schema()
    default = "" if field.is_required() else f"`{json.dumps(field.get_default(), default=list)}`"
    cells = (f"`{dotted}`", _kind(schema["properties"][key], schema), default, _one_line(field.description or ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _kind(facts: dict[str, Any], schema: dict[str, Any]) -> str:
    """The type of a key in words."""
    if "$ref" in facts:
        return str(facts["$ref"]).rpartition("/")[2]
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"])
    if "const" in facts:
        return f"`{facts['const']}`"
    if "anyOf" in facts:
        return " or ".join(dict.fromkeys(_kind(part, schema) for part in facts["anyOf"]))
    kind = TYPES.get(facts.get("type", ""), facts.get("type", "any"))
    bounds = [f"{sign} {facts[name]:,}" for name, sign in BOUNDS.items() if name in facts]
    return f"{kind} {' and '.join(bounds)}" if bounds else kind


def _one_line(text: str) -> str:
    return " ".join(text.split())
