"""Changes keys of a YAML file and leaves the rest of its text, comments and order included, as it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from varjepa.config.yaml_text import dump_yaml, read_yaml
from varjepa.visible import visible


class _Edit(NamedTuple):
    """A piece of text to put in place of characters `start` to `end`."""

    start: int
    end: int
    text: str


def edited_yaml(text: str, changes: Mapping[str, Any]) -> str:
    """The text with other values of some dotted keys; keys and sections that it lacks are added.

    Where the layout does not allow to change a key in place (anchors, for example), the whole content is written anew,
    without the comments.

    Args:
        text: YAML that holds a mapping, or nothing.
        changes: dotted key -> plain value.

    Raises:
        ConfigError: the text is not YAML, or not a mapping.

    Examples:
        >>> print(edited_yaml("training: {lr: 1.0}  # fast", {"training.lr": 0.5, "model.n_layers": 2}))
        training: {lr: 0.5}  # fast
        model:
          n_layers: 2
        <BLANKLINE>
    """
    wanted = changed_content(read_yaml(text, "the configuration file"), changes)
    try:
        candidate = _in_place(text, changes)
        # The text is changed by position, so what it says now is read back.
        if read_yaml(candidate, "the edited configuration") == wanted:
            return candidate
    except (TypeError, ValueError, yaml.YAMLError):  # a ConfigError is a ValueError
        pass
    return dump_yaml(wanted)


def changed_content(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested content with other values of some dotted keys.

    Examples:
        >>> changed_content({"a": {"b": 1}}, {"a.c": 2})
        {'a': {'b': 1, 'c': 2}}
    """
    result = dict(content)
    for key, value in changes.items():
        *path, name = key.split(".")
        section = result
        for part in path:
            section[part] = dict(section.get(part) or {})
            section = section[part]
        section[name] = value
    return result


def _in_place(text: str, changes: Mapping[str, Any]) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return _with_sections(text, changes)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("the document is not a mapping")
    lacking = dict[str, Any]()
    edits = list[_Edit]()
    for key, value in changes.items():
        edit = _edit(root, key.split("."), value)
        if edit is None:
            lacking[key] = value
        else:
            edits.append(edit)
    # From the end on, so that positions before an edit stay valid.
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return _with_sections(text, lacking)


def _edit(root: yaml.MappingNode, path: list[str], value: Any) -> _Edit | None:
    """The edit that sets one key; None where its section does not exist."""
    *sections, name = path
    node = root
    for section in sections:
        child = _child(node, section)
        if child is None:
            return None
        if not isinstance(child, yaml.MappingNode):
            raise TypeError(f"{section} is not a mapping")
        node = child
    old = _child(node, name)
    if old is not None:
        return _Edit(old.start_mark.index, old.end_mark.index, _scalar(value))
    if not node.value:
        raise ValueError(f"the section of {name} is empty")
    if node.flow_style:
        last = node.value[-1][1].end_mark.index
        return _Edit(last, last, f", {_line(name, value)}")
    first = node.value[0][0].start_mark
    start = first.index - first.column
    return _Edit(start, start, f"{' ' * first.column}{_line(name, value)}\n")


def _child(node: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in node.value if key.value == name), None)


def _line(name: str, value: Any) -> str:
    """`name: value` in one line."""
    line = dump_yaml({name: value}, flow=True).rstrip("\n")
    if "\n" in line:
        raise ValueError(f"the value of {name} takes more than a line")
    return line.removeprefix("{").removesuffix("}")


def _scalar(value: Any) -> str:
    return _line("value", value).partition(": ")[2]


def _with_sections(text: str, changes: Mapping[str, Any]) -> str:
    """The text with whole sections at its end."""
    if not changes:
        return text
    added = dump_yaml(changed_content({}, changes), flow=False)
    return "".join(_ended(part) for part in (text, added))


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def commented(lines: list[str], text: str) -> str:
    """The text with comment lines before it."""
    return "".join(f"# {visible(line)}".rstrip() + "\n" for line in lines) + text
