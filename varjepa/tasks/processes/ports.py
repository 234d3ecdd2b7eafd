"""Ports of this machine."""

import socket


def free_port(host: str = "") -> int:
    """A port that nobody listens on at the moment.

    Args:
        host: address of this machine; empty for all of them.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
