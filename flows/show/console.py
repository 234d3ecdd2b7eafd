"""The console for people: stderr, so that stdout contains only the JSON object."""

from rich.console import Console

console = Console(stderr=True, highlight=False)
