"""Hosts of a test's own: network namespaces on a switch, each with an address and a host name."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

NETWORK = "10.231.77"
"""First three numbers of the addresses. Each test process has a switch of its own, so all may use the same."""


@dataclass(frozen=True)
class Host:
    """A host.

    Attributes:
        name: its host name.
        space: its network namespace; None shares the network of this machine.
        address: in that network.
        cable: of its end at the switch, the words of a command that ends with `up` or `down`.
    """

    name: str
    space: str | None = None
    address: str = "127.0.0.1"
    cable: tuple[str, ...] = ()

    def words(self, *command: str) -> list[str]:
        """A command as it runs there: in its namespace, and under its name, where this machine permits that."""
        where = ["ip", "netns", "exec", self.space] if self.space is not None else []
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name] if may_unshare() else []
        return [*where, *named, *command]

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Without its cable in the block: nothing is refused or closed, nothing arrives."""
        subprocess.run([*self.cable, "down"], check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run([*self.cable, "up"], check=True, capture_output=True)


def may_unshare() -> bool:
    """Whether processes may have a host name of their own."""
    words = ["unshare", "--uts", "true"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


@contextmanager
def switched(*names: str) -> Iterator[list[Host]]:
    """Hosts on one switch, which lies in the namespace of the first. Skips the test where that is not permitted."""
    spaces = [f"vj{os.getpid()}{name}" for name in names]
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the program ip (iproute2)")
    try:
        for number, space in enumerate(spaces):
            _connected(space, spaces[0], number)
        yield [
            Host(name, space, f"{NETWORK}.{n + 1}", ("ip", "-n", spaces[0], "link", "set", f"p{n}"))
            for n, (name, space) in enumerate(zip(names, spaces, strict=True))
        ]
    finally:
        for space in spaces:
            subprocess.run(["ip", "netns", "delete", space], capture_output=True, check=False)


def _connected(space: str, switch: str, number: int) -> None:
    """Makes a namespace and connects it with the switch."""
    first = subprocess.run(["ip", "netns", "add", space], capture_output=True, text=True, check=False)
    if first.returncode:
        pytest.skip(f"this machine permits no network namespaces: {first.stderr.strip()}")
    address, end = f"{NETWORK}.{number + 1}/24", f"p{number}"
    if space == switch:
        steps = [f"-n {space} link add switch type bridge", f"-n {space} addr add {address} dev switch",
                 f"-n {space} link set switch up"]  # fmt: skip
    else:
        steps = [f"-n {space} link add eth0 type veth peer name {end} netns {switch}",
                 f"-n {switch} link set {end} master switch up", f"-n {space} addr add {address} dev eth0",
                 f"-n {space} link set eth0 up"]  # fmt: skip
    for step in (f"-n {space} link set lo up", *steps):
        subprocess.run(["ip", *step.split()], check=True, capture_output=True)
