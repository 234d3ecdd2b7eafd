"""Reads a YAML file and `key=value` overrides into a configuration. All faults are reported in one paragraph."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from varjepa.config.benchmark import BenchmarkConfig
from varjepa.config.retrain import RetrainConfig
from varjepa.config.study import StudyConfig
from varjepa.config.uris import beside
from varjepa.errors import ConfigError, listed, nearest

PATH_KEYS = (("data", "path"), ("contract", "path"))
"""Keys whose local paths in a file are relative to the folder of that file (on the command line: to the working
folder)."""


_T = TypeVar("_T", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice and reads 1e-3 as a number."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f'the key "{key}" is given twice', problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


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
    """Parses YAML that must hold a mapping.

    Raises:
        ConfigError: not YAML, or not a mapping.
    """
    try:
        # _StrictLoader derives from SafeLoader: no objects are constructed.
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{source} holds a {type(content).__name__}.", expected="Expected keys and values.")
    return content


def read_text(path: Path, what: str) -> str:
    """Reads a UTF-8 text file that the user named.

    Raises:
        ConfigError: missing, a folder, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        others = [str(p) for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        raise ConfigError(f"No such {what}: {path}.", fix=nearest(str(path), others)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The {what} {path} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from error


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RetrainConfig:
    """Reads one YAML file and applies overrides such as `training.lr=1e-3`.

    Args:
        path: the YAML file; `data.path` and `contract.path` in it are relative to its folder.
        overrides: `section.key=value`, the value read as YAML; later overrides replace earlier ones.

    Returns:
        The frozen configuration with every default filled in.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (the message suggests the nearest one) or an invalid value.
    """
    path = Path(path)
    content = read_yaml(read_text(path, "configuration file"), str(path))
    for section, key in PATH_KEYS:
        value = content.get(section)
        if isinstance(value, dict) and isinstance(value.get(key), str):
            value[key] = beside(path.parent, value[key])
    return parse_config(_overridden(content, overrides), str(path))


def study_config(overrides: Sequence[str] = (), **values: Any) -> StudyConfig:
    """The settings of a simulation study: the defaults, changed by `values` and by overrides such as `rows=2000`.

    Raises:
        ConfigError: an unknown key or an invalid value.
    """
    return validated(StudyConfig, _overridden(values, overrides), "the settings of the study")


def benchmark_config(datasets: Sequence[str], overrides: Sequence[str] = (), **values: Any) -> BenchmarkConfig:
    """The settings of a benchmark.

    Args:
        datasets: configurations of retrain jobs: YAML files, or names of files in `configs/`.
        overrides: `key=value` for the benchmark itself, `name.section.key=value` for the data set of that name.
        values: keys of the benchmark; None leaves the default.

    Raises:
        ConfigError: an unknown data set or key, or an invalid value.
    """
    paths = {
        Path(item).stem: Path(item) if Path(item).suffix else Path("configs") / f"{item}.yaml" for item in datasets
    }
    own = [override for override in overrides if override.partition(".")[0] not in paths]
    jobs = {
        name: load_config(path, [o.partition(".")[2] for o in overrides if o.partition(".")[0] == name])
        for name, path in paths.items()
    }
    for name, job in jobs.items():
        if job.data.label is None or job.data.task == "none":
            raise ConfigError(f'The data set "{name}" has no label.', fix="Set data.label in its configuration.")
    content = {key: value for key, value in values.items() if value is not None}
    return validated(BenchmarkConfig, _overridden(content, own) | {"datasets": jobs}, "the settings of the benchmark")


def parse_config(content: Mapping[str, Any], source: str = "the configuration") -> RetrainConfig:
    """Checks a mapping against the schema.

    Raises:
        ConfigError: lists every fault, one sentence each.
    """
    return validated(RetrainConfig, content, source)


def validated(schema: type[_T], content: Mapping[str, Any], source: str) -> _T:
    """Builds `schema` from `content`, turning every fault into one sentence of a `ConfigError`."""
    try:
        return schema.model_validate(dict(content))
    except ValidationError as error:
        faults = [_fault(schema, fault) for fault in error.errors()]
        raise ConfigError(f"In {source}: " + " ".join(faults)) from None


def _fault(schema: type[BaseModel], fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        keys = _keys(schema, fault["loc"][:-1])
        hint = nearest(str(fault["loc"][-1]), keys) or f"Known keys of this section: {listed(keys, 20)}."
        return f'unknown key "{where}". {hint}'
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{message}."
    return f'"{where}" is {fault["input"]!r}: {message[0].lower()}{message[1:]}.'


def _keys(schema: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Known keys of the section at `location`."""
    for part in location:
        field = schema.model_fields.get(str(part))
        annotation = field.annotation if field else None
        arguments = getattr(annotation, "__args__", ())
        candidates = [t for t in (annotation, *arguments) if isinstance(t, type) and issubclass(t, BaseModel)]
        if candidates:
            schema = candidates[0]
    return list(schema.model_fields)


def override_values(overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides as dotted key -> value, the value read as YAML; later ones replace earlier ones.

    Raises:
        ConfigError: one is not a key and a value.

    Examples:
        >>> override_values(["training.lr=1e-3"])
        {'training.lr': 0.001}
    """
    values = dict[str, Any]()
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not all(key.strip().split(".")):
            raise ConfigError(
                f'The override "{override}" is not a key and a value.', expected="Expected section.key=value."
            )
        # YAML takes a leading % for a directive of its own; here it begins a date pattern.
        values[key.strip()] = (
            value if value.startswith("%") else read_yaml(f"value: {value}", f'The override "{override}"')["value"]
        )
    return values


def _overridden(content: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        ((key, value),) = override_values([override]).items()
        *path, name = key.split(".")
        target = content
        for part in path:
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
            if not isinstance(target, dict):
                raise ConfigError(
                    f'The override "{override}" names a key inside "{part}", but "{part}" is a single value.'
                )
        target[name] = value
    return content


def as_flat(config: BaseModel) -> dict[str, Any]:
    """All keys of the resolved configuration, dotted, in the order of the schema.

    What users name, such as the columns in `data.kinds`, is part of a value and never of a key.

    Examples:
        >>> as_flat(parse_config({"data": {"name": "sim"}}))["data.split.seed"]
        0
    """
    return dict(_flatten(config, config.model_dump(mode="json"), ""))


def _flatten(section: BaseModel, content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        part = getattr(section, key)
        if isinstance(part, BaseModel):
            yield from _flatten(part, value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
