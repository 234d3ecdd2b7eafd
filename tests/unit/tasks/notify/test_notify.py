"""Messages arrive at real receivers, say what matters, and never stop anything."""

import time

import pytest

from tests.unit.tasks.notify.receivers import mail_server, web_hook
from varjepa.config.operations import NotifySection
from varjepa.errors import ConfigError
from varjepa.tasks.notify.message import HEADINGS, Message
from varjepa.tasks.notify.send import notify, require_addresses

URI = "sqlite:///mlruns/mlflow.db"
ALL = NotifySection(events=tuple(HEADINGS), urls="TEST_URLS", timeout=10)


def test_a_mail_and_a_web_hook_get_the_same_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server() as (mail, mails), web_hook() as (hook, bodies):
        monkeypatch.setenv("TEST_URLS", f"{mail}\n {hook}")
        require_addresses([ALL])
        message = Message("refused", "customers", "version 3: the interval lies below\n0", version=7)
        assert notify([ALL], URI, message) == 2
    (arrived,), (body,) = mails, bodies
    assert "varjepa: customers 7: the gate refused the new version" in arrived["Subject"] == body["title"]
    content = arrived.get_body(("plain",)).get_content()
    for text in (content, body["message"]):
        assert "version 3: the interval lies below 0" in text
        assert "Version: models:/customers/7" in text
        assert f"Tracking store: {URI}" in text


def test_only_rules_that_ask_for_the_event_send(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_hook() as (hook, bodies):
        monkeypatch.setenv("TEST_URLS", hook)
        rule = ALL.model_copy(update={"events": ("drift",)})
        assert notify([rule], URI, Message("failed", "customers", "no")) == 0
        assert notify([rule, rule], URI, Message("drift", "customers", "yes")) == 2
    assert len(bodies) == 2


def test_text_of_strangers_is_plain_and_secrets_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "column <b>x</b>\x1b[31m\u202e is broken at postgresql://me:hunter22@host/db"
    with mail_server() as (mail, mails), web_hook() as (hook, bodies):
        monkeypatch.setenv("TEST_URLS", f"{mail} {hook}")
        notify([ALL], URI, Message("contract", "a\nSubject: b", reason))
    (arrived,), (body,) = mails, bodies
    assert arrived.get_all("Subject") == [body["title"]]
    assert "\n" not in body["title"]
    assert "<b>x</b>" in body["message"]
    for text in (arrived.as_string(), str(body)):
        assert "hunter22" not in text
    assert "\x1b" not in body["message"]
    assert "\u202e" not in body["message"]


def test_links_lead_to_the_pages_of_a_tracking_server() -> None:
    message = Message("promoted", "a/b c", "better", version=2, run_id="abc")
    lines = message.text("https://me:secret-word@mlflow.example.com/", "12").splitlines()
    assert lines == [
        "better",
        "Run: https://***@mlflow.example.com/#/experiments/12/runs/abc?workflowType=machine_learning",
        "Version: https://***@mlflow.example.com/#/models/a%2Fb%20c/versions/2?workflowType=machine_learning",
    ]


@pytest.mark.parametrize("fault", ["refused", "silent", "nobody", "unreadable", "unset"])
def test_what_cannot_be_sent_is_a_warning_in_time(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rule, began = ALL.model_copy(update={"timeout": 1.0}), time.monotonic()
    with (
        web_hook(500 if fault == "refused" else 200, silent=fault == "silent") as (hook, _),
        web_hook() as (well, arrived),
    ):
        address = {"nobody": "json://127.0.0.1:9/", "unreadable": "nonsense", "unset": ""}.get(fault, hook)
        monkeypatch.setenv("TEST_URLS", address and f"{address} {well}")
        with caplog.at_level("WARNING", "varjepa"):
            assert notify([rule], URI, Message("failed", "customers", "why")) == (0 if fault == "unset" else 1)
    assert time.monotonic() - began < 8
    assert len(arrived) == (0 if fault == "unset" else 1)
    assert "TEST_URLS" in caplog.text
    assert "nonsense" not in caplog.text


@pytest.mark.parametrize(
    ("value", "words"), [("", "TEST_URLS, which is not set"), ("json://host nonsense-word", "Address 2")]
)
def test_a_schedule_checks_its_addresses(value: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_URLS", value)
    with pytest.raises(ConfigError, match=words) as caught:
        require_addresses([ALL])
    assert "nonsense-word" not in str(caught.value)
