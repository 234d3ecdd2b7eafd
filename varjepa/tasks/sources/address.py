"""The address of a table with the values of the environment in it. It may hold a password and is never shown."""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from varjepa.config import DataSection
from varjepa.config.load import validated
from varjepa.config.uris import OBJECTS, WEB, fragment, scheme_of
from varjepa.errors import ConfigError
from varjepa.redaction import VARIABLE, redacted_uri, remember_secret, secrets_of

_PASSWORD = re.compile(r"(?<=://)([^/@]*:)\$\{(\w+)\}(?=@)")


def section_at(data: DataSection, path: str, **reading: Any) -> DataSection:
    """The settings of a table applied to another place, such as IN of `score`.

    Args:
        data: settings of the table that a model was trained on.
        path: file, folder, glob or URI.
        reading: query, parameters and at for this place.

    Raises:
        ConfigError: the place is not a valid one.
    """
    place: dict[str, Any] = {"query": None, "parameters": {}, "at": None} | reading | {"path": path}
    return validated(DataSection, data.model_dump() | place, "the place of the table")


def require_place(path: str, reading: Mapping[str, Any]) -> DataSection:
    """The settings of a place alone.

    Raises:
        ConfigError: the place is not a valid one, or a password is written out in it.
    """
    return section_at(DataSection(name="sim"), path, **reading)


def expanded(path: str) -> str:
    """The address with `${NAME}` replaced by variables of the environment, and without `file://`.

    Raises:
        ConfigError: a variable is not set, or an object store's credentials stand in its URI.
    """
    # A password in the middle of a URI may contain any character, so it is quoted; a whole URI is taken as it is.
    address = _PASSWORD.sub(lambda match: match[1] + quote(_variable(match[2], path), safe=""), path)
    address = VARIABLE.sub(lambda match: _variable(match[1], path), address)
    _remember(address, from_environment=address != path)
    if scheme_of(address) in OBJECTS and redacted_uri(address) != address:
        raise ConfigError(
            f"{redacted_uri(address)} contains credentials.",
            expected="Expected a URI without them: object stores read their usual variables and files.",
            fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for example.",
        )
    return address.removeprefix("file://") if scheme_of(address) == "file" else address


def _remember(address: str, *, from_environment: bool) -> None:
    """Hides the secrets of an address in all that is written, also the whole query that a variable held."""
    for secret in secrets_of(address):
        remember_secret(secret)
    if from_environment and scheme_of(address) in WEB:
        remember_secret(address.partition("?")[2])


def _variable(name: str, path: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            f"{redacted_uri(path)} names the variable {name}, which is not set.", fix=f"Set it: export {name}=..."
        )
    return value


def described(address: str) -> str:
    """The address for messages and pages: no password, no signature, no query of a web address."""
    shown = redacted_uri(address)
    return shown.partition("?")[0] if scheme_of(shown) in ("http", "https") else shown


def table_of(address: str) -> str:
    """Name of the table in a database, after `#`; empty if there is none."""
    return unquote(fragment(address).removeprefix("#"))


def server_of(address: str) -> str:
    """The URI of a database without its table."""
    return address.partition("#")[0]
