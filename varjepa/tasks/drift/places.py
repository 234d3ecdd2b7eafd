"""Where a report of drift may be written."""

from pathlib import Path

from varjepa.errors import ConfigError


def require_report(out: Path, *, force: bool) -> None:
    """Checks before any computation that a report may be written to `out`.

    Raises:
        ConfigError: its folder does not exist, its extension is not that of a page, or it would be overwritten.
    """
    if not out.parent.is_dir():
        raise ConfigError(f"The folder {out.parent} does not exist.", fix="Create it, or choose another one.")
    if out.suffix not in ("", ".html") and not out.is_dir():
        raise ConfigError(f"{out} cannot hold a report.", expected="Expected a folder, or a file ending in .html.")
    occupied = any(out.iterdir()) if out.is_dir() else out.exists()  # an empty folder may be used
    if occupied and not force:
        raise ConfigError(f"{out} exists.", fix="Choose another name, or overwrite it with --force.")
