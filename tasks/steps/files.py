"""Files that are written whole or not at all."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file in one move."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
