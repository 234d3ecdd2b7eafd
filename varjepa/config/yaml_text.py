"""YAML (and JSON) that a user named: read with bounds, and written so that it is read back equal.

A text is scanned before anything is built from it: aliases may multiply ten lines to billions of values, and deep
nesting ends in the limit of the stack.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from varjepa.errors import ConfigError, nearest_path
from varjepa.visible import shortened

BYTES = 16 * 2**20
"""Largest file. The contract of 20,000 columns has 2 MiB."""

DEPTH = 40
"""Deepest nesting; ours is 5."""

VALUES = 500_000
"""Most values after aliases are filled in."""

BITS = 128
"""Largest whole number: that of the widest type of a column."""

# libyaml reads ten times faster. It comes with the usual packages of PyYAML, but not with all.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_Base):
    """Safe loader that refuses a key given twice, takes every key as text and reads 1e-3 as a number."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(
                problem="a key is a list or a mapping, expected a text", problem_mark=key.start_mark
            )
        if key.value in seen:
            problem = f'the key "{shortened(key.value)}" is given twice'
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    # Not what YAML makes of a key: a column may be called 2020, 1e5 or no.
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


def _whole_number(loader: Any, node: yaml.ScalarNode) -> int:
    number: int = loader.construct_yaml_int(node) if len(node.value) <= BITS else 2**BITS
    if number.bit_length() > BITS:
        raise yaml.MarkedYAMLError(
            problem=f"the number {shortened(node.value, 20)} is too large", problem_mark=node.start_mark
        )
    return number


def _moment(loader: Any, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except (ValueError, OverflowError, AttributeError):
        problem = f"{shortened(node.value, 40)} is no date; put it into quotes if it is a text"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _moment)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes text which `_StrictLoader` would read as a number, and escapes rare line ends in text."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Plain and single quoted text may be broken at them, and is then read with a blank in their place.
    broken = any(char in text for char in "\x85\u2028\u2029")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if broken else None)


_Dumper.add_representer(str, _text)


for _reads_or_writes in (_StrictLoader, _Dumper):
    _reads_or_writes.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        # YAML 1.1 reads 1e-3 as text because it has no dot; users mean a number.
        re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )


def dump_yaml(content: Mapping[str, Any], *, flow: bool | None = None) -> str:
    r"""YAML that `read_yaml` reads back equal, in the given order of keys.

    Args:
        content: plain data.
        flow: None to write lists and short mappings in lines; False for one value a line.

    Examples:
        >>> dump_yaml({"values": ["1e5", "A10"]})
        "values: ['1e5', A10]\n"
    """
    return yaml.dump(
        content, Dumper=_Dumper, default_flow_style=flow, sort_keys=False, width=110, allow_unicode=True
    )  # fmt: skip


def read_yaml(text: str, source: str) -> dict[str, Any]:
    """Parses YAML that must hold a mapping. Keys are text, whatever they look like.

    Raises:
        ConfigError: not YAML, not a mapping, or larger than anybody writes by hand (see the bounds of this module).
    """
    try:
        _require_bounds(text)
        # _StrictLoader derives from a safe loader: no objects are constructed.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {_reason(error)}.") from None
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:  # of PyYAML's constructors
        raise ConfigError(f"{source} is not valid YAML: {_reason(error)}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{source} holds a {type(content).__name__}.", expected="Expected keys and values.")
    return content


def _reason(error: Exception) -> str:
    words = " ".join(str(error).split()).rstrip(".").replace('in "<unicode string>", line', "in line")
    return shortened(words, 400)


def _require_bounds(text: str) -> None:
    """Reads the events of a text, which are as many as it is long, before aliases multiply them."""
    sizes, open_nodes, total = dict[str | None, int](), list[tuple[str | None, int]](), 0
    for event in yaml.parse(text, Loader=_Base):
        match event:
            case yaml.AliasEvent():
                if event.anchor in (anchor for anchor, _ in open_nodes):
                    raise yaml.YAMLError(f"the alias *{event.anchor} stands inside what it refers to")
                total += sizes.get(event.anchor, 0)
            case yaml.ScalarEvent():
                event.value.encode()  # not possible where half of a surrogate pair is escaped
                total, sizes[event.anchor] = total + 1, 1
            case yaml.CollectionStartEvent():
                open_nodes.append((event.anchor, total))
                total += 1
            case yaml.CollectionEndEvent():
                anchor, before = open_nodes.pop()
                sizes[anchor] = total - before
        if len(open_nodes) > DEPTH:
            raise yaml.YAMLError(f"it is nested deeper than {DEPTH} levels")
        if total > VALUES:
            raise yaml.YAMLError(f"it holds more than {VALUES:,} values")


def read_text(path: Path, what: str) -> str:
    """Reads a UTF-8 text file that the user named.

    Raises:
        ConfigError: missing, a folder, unreadable, too large or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"No such {what}: {path}.", fix=nearest_path(path, path.parent.glob("*.y*ml"))) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The {what} {path} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"The {what} {shortened(str(path))} cannot be read: {error.strerror}.") from error
    except ValueError:  # a NUL in the path
        raise ConfigError(f"{path} is no path of a file.") from None
    if len(content) > BYTES:
        raise ConfigError(f"The {what} {path} has more than {BYTES // 2**20} MiB.")
    return text
