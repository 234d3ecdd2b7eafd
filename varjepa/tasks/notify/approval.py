"""A person's decision about a version that waits, and the message about it."""

from varjepa.tasks.answers import ApprovalAnswer
from varjepa.tasks.notify.message import Message
from varjepa.tasks.notify.send import notify
from varjepa.tasks.registry.approval import decide
from varjepa.tasks.registry.watch import rules_of
from varjepa.tasks.tracking.uris import store


def decide_and_tell(model: str, uri: str | None, *, approve: bool, why: str) -> ApprovalAnswer:
    """Approves or rejects a version, as `decide` does, and sends a message by the rules of its last retrain."""
    answer = decide(model, uri, approve=approve, why=why)
    reason = f"{answer['state']} by {answer['who']}: {answer['why']}"
    message = Message("promoted" if approve else "refused", answer["name"], reason, answer["version"])
    notify(rules_of(answer["uri"], uri), store(uri), message)
    return answer
