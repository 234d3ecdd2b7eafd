"""Addresses of this machine."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from varjepa.errors import ConfigError


def address_towards(host: str, port: int) -> str | None:
    """The address from which this machine reaches another one; None if it does not. Nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])
    return None


def interface_to(host: str, port: int) -> str | None:
    """Name of the network interface through which this machine reaches another one, or itself."""
    own = address_towards(host, port)
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == own for address in addresses):
            return name
    return None


def own_address(given: str | None, server: str) -> str:
    """The address at which other machines reach this one.

    Args:
        given: `work.address`.
        server: URI of the tracking store; the way to a server tells the address.

    Raises:
        ConfigError: none is given, and there is no server.
    """
    url = urlsplit(server)
    found = given or (address_towards(url.hostname, url.port or 80) if url.hostname else None)
    if found is None:
        raise ConfigError(
            "Other machines have to know the address of this one (work.machines).",
            fix="Set work.address, or use a tracking server that all machines reach.",
        )
    return found
