"""What a value of a config should have been, in the words of YAML instead of those of Python's types."""

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from varjepa.amounts import counted
from varjepa.errors import listed
from varjepa.visible import shortened

WORDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    "int_parsing_size": "expected a smaller whole number: this one exceeded maximum size",
    **dict.fromkeys(("float_type", "float_parsing"), "expected a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "expected true or false"),
    "dict_type": "expected keys and values, such as {name: value}",
}
"""Kind of fault -> what was expected."""

MOST_KEYS = 8


def expected(schema: type[BaseModel], fault: Any) -> str:
    """What should stand where a fault is.

    Args:
        schema: of the whole config.
        fault: one of the errors of pydantic.

    Returns:
        A part of a sentence, such as "expected a list, such as [age]"; what a value is to be compared with as pydantic
        says it.
    """
    kind, value = fault["type"], fault["input"]
    words = WORDS.get(kind)
    if kind in ("tuple_type", "list_type"):
        item = shortened(str(value), 40) if isinstance(value, str | int | float) else "a, b"
        words = f"expected a list, such as [{item}]"
    elif kind in ("too_short", "too_long"):
        bound, side = {"too_short": ("min_length", "at least"), "too_long": ("max_length", "at most")}[kind]
        words = f"expected {side} {counted(fault['ctx'][bound], 'item')}"
    elif kind == "string_type":
        scalar = isinstance(value, int | float) and not isinstance(value, bool)
        words = f'expected a text; write it in quotes: "{value}"' if scalar else "expected a text"
    elif kind in ("model_type", "model_attributes_type"):
        keys = known_keys(schema, fault["loc"])
        words = f"expected keys and values, such as {{{keys[0]}: ...}}; the keys are {listed(keys, MOST_KEYS)}"
    elif kind == "literal_error":
        words = f"expected {fault['ctx']['expected']}"
    message = str(fault["msg"])
    return words or message[0].lower() + message[1:]


def by_key(schema: type[BaseModel], faults: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """The faults by the key that a user wrote.

    A value that may be of several types has one fault for each of them, at a place that ends with the type's name. They
    become one; where a type fits but for something within, that is the fault.

    Returns:
        The dotted key -> its faults, in order.
    """
    by_field: dict[tuple[Any, ...], list[tuple[tuple[Any, ...], Any]]] = {}
    for fault in faults:
        if fault["type"] == "too_short" and any(_is_within(other["loc"], fault["loc"]) for other in faults):
            continue  # the list is short because its items are wrong
        field, within = _parts(schema, fault["loc"])
        by_field.setdefault(field, []).append((within, fault))
    found: dict[str, list[Any]] = {}
    for field, parts in by_field.items():
        inner = [(within, fault) for within, fault in parts if within]
        for within, fault in inner or parts:
            found.setdefault(".".join(shortened(str(part), 80) for part in (*field, *within)), []).append(fault)
    return list(found.items())


def _is_within(place: Sequence[Any], outer: Sequence[Any]) -> bool:
    return len(place) > len(outer) and list(place[: len(outer)]) == list(outer)


def _parts(annotation: Any, location: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The place of a value that may be of several types, and the place within it; otherwise the place, and nothing."""
    kinds = _kinds(annotation)
    if len(kinds) > 1 and location:  # the next part names one of the types
        return (), location[1:]
    if not location or not kinds:
        return location, ()
    place, within = _parts(_inner(kinds[0], location[0]), location[1:])
    return (location[0], *place), within


def _kinds(annotation: Any) -> list[Any]:
    """The types that a value may have, beside None."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in _kinds(part)]
    return [] if annotation in (None, type(None)) else [annotation]


def _inner(kind: Any, key: Any) -> Any:
    """The type of what lies under a key, a name or a number; None if that is unknown."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(key))
        return field.annotation if field else None
    kinds = get_args(kind)
    if get_origin(kind) is dict:
        return kinds[1]
    return kinds[0] if get_origin(kind) in (tuple, list) else None


def known_keys(schema: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Known keys of the section at `location`."""
    kind: Any = schema
    for part in location:
        inner = _kinds(_inner(kind, part))
        kind = inner[0] if inner else None
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []
