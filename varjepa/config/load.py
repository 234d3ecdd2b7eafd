"""Reads a YAML file and `key=value` overrides into a configuration. All faults are reported in one paragraph."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from varjepa.config.base import SECRET
from varjepa.config.benchmark import BenchmarkConfig
from varjepa.config.fault_words import by_key, expected, known_keys
from varjepa.config.retrain import RetrainConfig
from varjepa.config.shipped import shipped_config
from varjepa.config.study import StudyConfig
from varjepa.config.uris import beside
from varjepa.config.yaml_text import read_text, read_yaml
from varjepa.errors import ConfigError, listed, nearest
from varjepa.redaction import has_secret, redacted_uri
from varjepa.visible import shortened

PATH_KEYS = (
    ("data", "path"), ("contract", "path"), ("watch", "path"), ("signing", "key_file"), ("signing", "trusted_keys"),
)  # fmt: skip
"""Keys whose local paths in a file are relative to the folder of that file (on the command line: to the working
folder)."""


TABLES = {".csv", ".tsv", ".gz", ".zip", ".parquet", ".arrow", ".feather", ".xlsx", ".jsonl", ".ndjson"}
"""Endings of tables, which are easily taken for configs."""

MOST_FAULTS = 10
"""Faults that one message lists."""

_T = TypeVar("_T", bound=BaseModel)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RetrainConfig:
    """Reads one YAML file and applies overrides such as `training.lr=1e-3`.

    Args:
        path: the YAML file; `data.path` and other paths in it are relative to its folder.
        overrides: `section.key=value`, the value read as YAML; later overrides replace earlier ones.

    Returns:
        The frozen configuration with every default filled in.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (the message suggests the nearest one) or an invalid value.
    """
    path = Path(path)
    if path.suffix.lower() in TABLES:
        raise ConfigError(
            f"{path} is a table, not a config.", fix=f"`varjepa init {quote(str(path))}` writes a config for it."
        )
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
        datasets: configurations of retrain jobs: YAML files, or names of files in `configs/` or in the package.
        overrides: `key=value` for the benchmark itself, `name.section.key=value` for the data set of that name.
        values: keys of the benchmark; None leaves the default.

    Raises:
        ConfigError: an unknown data set or key, or an invalid value.
    """
    paths = {Path(item).stem: _job_of(item) for item in datasets}
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


def _job_of(item: str) -> Path:
    """The YAML file of a data set: a file, or a name in `configs/` of the working folder, or one that is shipped."""
    if Path(item).suffix:
        return Path(item)
    own = Path("configs") / f"{item}.yaml"
    if own.is_file():
        return own
    try:
        return shipped_config(item)
    except ConfigError as error:
        raise ConfigError(f"There is no file {own}. {error}") from None


def parse_config(content: Mapping[str, Any], source: str = "the configuration") -> RetrainConfig:
    """Checks a mapping against the schema.

    Raises:
        ConfigError: lists every fault, one sentence each.
    """
    return validated(RetrainConfig, content, source)


def parse_stored(content: Mapping[str, Any], source: str) -> RetrainConfig:
    """The configuration of a finished model: those of earlier versions may hold a password, which is left out.

    Raises:
        ConfigError: see `parse_config`.
    """
    return parse_config(_without_secrets(content), source)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_secrets(item) for key, item in value.items()}
    return redacted_uri(value) if isinstance(value, str) and has_secret(value) else value


def validated(schema: type[_T], content: Mapping[str, Any], source: str) -> _T:
    """Builds `schema` from `content`, turning every fault into one sentence of a `ConfigError`."""
    try:
        return schema.model_validate(dict(content))
    except ValidationError as error:
        faults = by_key(schema, error.errors(include_url=False))
        sentences = [_fault(schema, where, of_key) for where, of_key in faults[:MOST_FAULTS]]
        rest = len(faults) - len(sentences)
        more = f" And {rest:,} more." if rest else ""
        raise ConfigError(f"In {source}: " + " ".join(sentences) + more) from None


def _fault(schema: type[BaseModel], where: str, faults: Sequence[Any]) -> str:
    """One sentence on one key.

    Args:
        schema: of the whole config.
        where: the dotted key.
        faults: those of its value; several, if it may be of several types.
    """
    fault = faults[0]
    if fault["type"] == "extra_forbidden":
        keys = known_keys(schema, fault["loc"][:-1])
        hint = nearest(str(fault["loc"][-1]), keys) or f"Known keys of this section: {listed(keys, 20)}."
        return f'unknown key "{where}". {hint}'
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == SECRET:
        return f"{where} {message}."
    if fault["type"] == "value_error":
        # What a whole section says names its keys; of a single value, the key may be missing.
        named = isinstance(fault["input"], Mapping | BaseModel) or where in message
        return f"{message}." if named else f'"{where}": {message}.'
    return f'"{where}" is {_shown(fault["input"])}: {", or ".join(expected(schema, fault) for fault in faults)}.'


def _shown(value: Any) -> str:
    return shortened(repr(value), 100)


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
        values[key.strip()] = value if value.startswith("%") else _value(value, f'The override "{shortened(override)}"')
    return values


def _value(text: str, source: str) -> Any:
    content = read_yaml(f"value: {text}", source)
    if set(content) != {"value"}:
        raise ConfigError(f"{source} holds more than one value.", expected="Expected section.key=value.")
    return content["value"]


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
