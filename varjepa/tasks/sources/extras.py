"""Libraries that only some places need."""

from importlib import import_module
from typing import Any

from varjepa.errors import SetupError


def required(module: str, extra: str, place: str) -> Any:
    """Imports a library of an extra of our package.

    Args:
        module: its name in code.
        extra: of `varjepa`, which installs it.
        place: what it reads or writes, for the message.

    Raises:
        SetupError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise SetupError(
            f"{place} needs the library {module.partition('.')[0]}, which is not installed.",
            fix=f"Install it: pip install 'varjepa[{extra}]'.",
        ) from error
