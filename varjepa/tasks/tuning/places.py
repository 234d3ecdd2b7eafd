"""Where a tuned config may be written."""

from pathlib import Path

from varjepa.errors import ConfigError


def place_of(source: Path, out: Path | None, *, force: bool) -> Path:
    """Where the tuned config goes: `out`, or NAME.tuned.yaml beside the config.

    Raises:
        ConfigError: there is a file already, or no such folder.
    """
    place = out or source.with_name(f"{source.stem}.tuned{source.suffix or '.yaml'}")
    if place.is_dir():
        raise ConfigError(f"{place} is a folder.", fix="Name a file in it.")
    if place.exists() and not force:
        raise ConfigError(f"{place} would be overwritten.", fix="Pass --force, or choose another --out.")
    if not place.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder {place.parent}.", fix="Create it, or choose another --out.")
    return place
