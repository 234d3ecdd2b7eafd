"""Where people read: stderr, so that stdout stays one JSON object."""

from rich.console import Console

console = Console(stderr=True, highlight=False)
