"""A person's decision about a version, and the message about it."""

from varjepa.tasks.answers.registry import ApprovalAnswer, MoveAnswer
from varjepa.tasks.notify.message import Message
from varjepa.tasks.notify.send import notify
from varjepa.tasks.registry.approval import decide
from varjepa.tasks.registry.champion import history
from varjepa.tasks.registry.watch import rules_of
from varjepa.tasks.tracking.store import client_for
from varjepa.tasks.tracking.uris import store


def decide_and_tell(model: str, uri: str | None, *, approve: bool, why: str) -> ApprovalAnswer:
    """Approves or rejects a version, as `decide` does, and sends a message by the rules of its last retrain."""
    answer = decide(model, uri, approve=approve, why=why)
    reason = f"{answer['state']} by {answer['who']}: {answer['why']}"
    message = Message("promoted" if approve else "refused", answer["name"], reason, answer["version"])
    notify(rules_of(answer["uri"], uri), store(uri), message)
    return answer


def tell_moved(answer: MoveAnswer, uri: str | None) -> None:
    """Sends a message about a champion that somebody has chosen by hand, by the rules of its last retrain.

    Args:
        answer: of `promote` or `rollback`.
        uri: tracking store; None means the default one.
    """
    rules = rules_of(answer["uri"], uri) if answer["moved"] else ()
    if rules:
        event = history(client_for(store(uri)), answer["name"])[-1]
        reason = f"{event.reason}, by {event.who}"
        notify(rules, store(uri), Message("promoted", answer["name"], reason, answer["version"]))
