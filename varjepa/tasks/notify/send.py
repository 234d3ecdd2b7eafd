"""Sends messages to the addresses that rules of a config name. No message ever stops a run."""

import os
import time
from collections.abc import Sequence
from threading import Thread
from typing import Any

from varjepa.config.operations import NotifySection
from varjepa.errors import ConfigError
from varjepa.redaction import redacted, remember_secret
from varjepa.tasks.notify.message import Message
from varjepa.tasks.steps.log import log
from varjepa.tasks.tracking.store import client_for


def notify(rules: Sequence[NotifySection], uri: str, message: Message) -> int:
    """Sends a message by every rule that asks for its event; returns how many addresses have accepted it.

    What cannot be sent is logged as a warning.

    Args:
        rules: of a config.
        uri: tracking store, for the links.
        message: what happened.
    """
    asking = [rule for rule in rules if message.event in rule.events]
    if not asking:
        return 0
    try:
        text = message.text(uri, _experiment(uri, message.run_id))
        return sum(_send(rule, message.title, text) for rule in asking)
    except Exception as error:  # noqa: BLE001 (a run must not fail because a message cannot be sent)
        log.warning("no message about %s was sent: %s", message.model, redacted(repr(error)))
        return 0


def require_addresses(rules: Sequence[NotifySection]) -> None:
    """Checks that every rule has addresses that can be read, before a schedule starts.

    Raises:
        ConfigError: a variable is not set, or an address cannot be read.
    """
    for rule in rules:
        addresses = _addresses(rule)
        if not addresses:
            raise ConfigError(
                f"notify names the variable {rule.urls}, which is not set.",
                fix="Set it to addresses as apprise reads them, separated by blanks.",
            )
        for number, address in enumerate(addresses, start=1):
            if _service(address) is None:
                raise ConfigError(
                    f"Address {number} in the variable {rule.urls} is none that apprise reads.",
                    expected="Expected, for example, mailto://USER:PASSWORD@example.com or slack://TOKENS.",
                )


def _addresses(rule: NotifySection) -> list[str]:
    addresses = os.environ.get(rule.urls, "").split()
    for address in addresses:
        remember_secret(address)
    return addresses


def _send(rule: NotifySection, title: str, text: str) -> int:
    addresses = _addresses(rule)
    if not addresses:
        log.warning("no message was sent: the variable %s is not set", rule.urls)
        return 0
    accepted: dict[int, bool] = {}
    # Threads, since a service that does not answer must not hold up the run, its end, or the other services.
    threads = [
        Thread(target=lambda number=number, address=address: accepted.update({number: _sent(address, title, text)}),
               name="notify", daemon=True)
        for number, address in enumerate(addresses, start=1)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    until = time.monotonic() + rule.timeout
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    for number in range(1, len(addresses) + 1):
        if not accepted.get(number):
            why = "was refused by its service" if number in accepted else f"was not accepted within {rule.timeout:g} s"
            log.warning("the message to address %d of %s %s", number, rule.urls, why)
    return sum(accepted.values())


def _sent(address: str, title: str, text: str) -> bool:
    try:
        from apprise import NotifyFormat

        service = _service(address)
        # Plain text: names and reasons may hold markup of strangers.
        return service is not None and bool(service.notify(body=text, title=title, body_format=NotifyFormat.TEXT))
    except Exception as error:  # noqa: BLE001 (services are plug-ins of many authors)
        log.warning("a message failed: %s", redacted(repr(error)))
        return False


def _service(address: str) -> Any:
    """What apprise makes of an address; None if it cannot read it."""
    import apprise

    return apprise.Apprise.instantiate(address)


def _experiment(uri: str, run_id: str | None) -> str | None:
    return None if run_id is None else str(client_for(uri).get_run(run_id).info.experiment_id)
