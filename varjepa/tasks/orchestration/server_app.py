"""The application of Prefect's temporary server, as its own process imports it."""

from typing import Any

from varjepa.tasks.steps.imports import quick_imports


def new_app() -> Any:
    """Prefect's server, imported in less time."""
    with quick_imports():
        from prefect.server.api.server import create_app

        return create_app()
