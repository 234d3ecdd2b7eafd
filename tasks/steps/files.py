"""Files that are written completely or not at all."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file atomically."""
    # A rename within a folder is atomic; a reader never sees half of the text.
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
