"""Reads registered models and versions from a registry of any size: by name, and page by page."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from varjepa.errors import listed, nearest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Codes of MLflow's errors where something does not exist, or no longer."""


def results(search: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[Any]:
    """The results of one of the client's searches, which answers page by page; a page is asked for when it is needed.

    Args:
        search: a method of the client.
        arguments: of the search.
        options: of the search.
    """
    token: str | None = None
    while True:
        page = search(*arguments, **options, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def every(search: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """All results of one of the client's searches; see `results`."""
    return list(results(search, *arguments, **options))


def registered_model(client: "MlflowClient", name: str) -> "RegisteredModel | None":
    """The registered model of a name; None if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in GONE:
            raise
        return None


def versions_of(client: "MlflowClient", name: str) -> "list[ModelVersion]":
    """All versions of a registered model, newest first."""
    found = every(client.search_model_versions, f"name = {quoted(name)}")
    return sorted(found, key=lambda version: -int(version.version))


def every_model(client: "MlflowClient") -> "list[RegisteredModel]":
    """All registered models."""
    return every(client.search_registered_models)


def known_names(client: "MlflowClient", name: str) -> str:
    """What to say about a name that is not registered: the nearest one, or some that are."""
    names = [model.name for model in every_model(client)]
    return nearest(name, names) or (f"Registered models: {listed(names)}." if names else "The registry is empty.")


def quoted(name: str) -> str:
    """A name for the filter of a search; MLflow takes either quote."""
    return f'"{name}"' if "'" in name else f"'{name}'"
