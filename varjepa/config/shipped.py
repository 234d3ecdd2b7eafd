"""Configs that come with the package: the demo, and jobs on public tables."""

from pathlib import Path

from varjepa.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]

PLACES = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
"""Where they lie: inside an installed package, or beside the package in a checkout."""


def shipped_config(name: str) -> Path:
    """The YAML file of a config that comes with the package, such as `demo`.

    Raises:
        ConfigError: there is none of this name.
    """
    files = {file.stem: file for place in reversed(PLACES) for file in sorted(place.glob("*.yaml"))}
    if name not in files:
        raise ConfigError(f'There is no config "{name}" in the package.', fix=f"Choose one of: {', '.join(files)}.")
    return files[name]
