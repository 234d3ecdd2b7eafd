"""Step 10: decide whether the new version becomes the champion."""

from dataclasses import dataclass

from prefect import task

from tasks.register import CHALLENGER, CHAMPION, Registered
from tasks.steps import may_help
from tasks.tracking import client_for, tracking_uri
from varjepa.config import RetrainConfig


@dataclass(frozen=True)
class Decision:
    """What the gate decided.

    Attributes:
        promoted: whether the version became the champion now.
        reason: why, in words.
        aliases: of the version, afterwards.
    """

    promoted: bool
    reason: str
    aliases: list[str]


@task(name="gate", task_run_name="gate {registered.name} {registered.version}", retries=2, retry_delay_seconds=2,
      retry_condition_fn=may_help)  # fmt: skip
def gate(registered: Registered, config: RetrainConfig) -> Decision:
    """Gives the `champion` alias to a version where its name has none yet."""
    client = client_for(tracking_uri(config.tracking))
    name, version = registered.name, registered.version
    champion = client.get_registered_model(name).aliases.get(CHAMPION)
    if champion is None and config.gate.promote_first:
        client.set_registered_model_alias(name, CHAMPION, str(version))
        decision = Decision(promoted=True, reason=f"{name} had no champion", aliases=[CHALLENGER, CHAMPION])
    elif champion is None:
        decision = Decision(promoted=False, reason="gate.promote_first is off", aliases=[CHALLENGER])
    elif int(champion) == version:
        decision = Decision(
            promoted=False, reason=f"version {version} already is the champion", aliases=[CHALLENGER, CHAMPION]
        )
    else:
        reason = f"version {champion} stays the champion; compare the runs and move the alias in the registry"
        decision = Decision(promoted=False, reason=reason, aliases=[CHALLENGER])
    client.set_model_version_tag(name, str(version), "varjepa.gate", decision.reason)
    return decision
