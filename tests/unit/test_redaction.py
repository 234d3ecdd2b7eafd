"""The redactor: every form of a secret, in URIs and in texts, and the values that the environment holds."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varjepa import redaction
from varjepa.config import load_config, parse_config
from varjepa.config.load import parse_stored
from varjepa.errors import ConfigError, SetupError
from varjepa.redaction import has_secret, redacted, redacted_data, redacted_uri, remember_secret

CANARY = "Kanari3n-v0gel"
HARD = f"p/{CANARY}#s?s@w"


@pytest.mark.parametrize("text", [
    f"postgresql://me:{CANARY}@host/db#t", f"postgresql+psycopg2://me:{HARD}@host:5432/db",
    f"http://me:{HARD}@host:5000/x",
    f"https://{CANARY}@host/people.csv", f"https://{CANARY}:@host/a", f"redis://:{CANARY}@host",
    f"s3://key:{CANARY}@bucket/a",
    f"delta://s3://key:{CANARY}@bucket/t", f"mysql://me:{HARD}@host/db?charset=utf8", f"sftp://me:{CANARY}@host/a",
    f"postgresql://host/db?user=me&password={HARD}", f"postgresql://host/db?sslpassword={CANARY}&x=1",
    f"https://host/a.csv?sig={CANARY}%2F&se=2", f"https://host/a?X-Amz-Signature={CANARY}",
    f"https://host/a?x-amz-security-token={CANARY}",
    f"https://host/a?X-Amz-Credential={CANARY}/2026", f"https://host/a?X-Goog-Signature={CANARY}",
    f"https://host/a?key={CANARY}",
    f"https://host/a?access_token={CANARY}#x", f"https://host/a?v=1&api_key={CANARY}",
    f"https://host/a;token={CANARY}?x=1",
    f"mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3D{CANARY}%3BDATABASE%3Dd",
])  # fmt: skip
def test_secrets_in_uris(text: str) -> None:
    assert CANARY not in redacted_uri(text)
    for message in (f"{text} does not answer", f'cannot open "{text}": gone', f"({text})", f"Error('{text}')\n  at x"):
        assert CANARY not in redacted(message)
        assert redacted(redacted(message)) == redacted(message)
    assert has_secret(text) or ";" in text
    assert not has_secret(redacted_uri(text))


@pytest.mark.parametrize("text", [
    f"host=h password={CANARY} user=me", f"password='a {CANARY}' host=h", f'passwd="{CANARY}"',
    f"PWD={{{CANARY};x}};Server=h",
    f"Driver=x;Uid=me;PWD={CANARY};Server=h", f"token={CANARY}", f"MLFLOW_TRACKING_TOKEN={CANARY}", f"sig={CANARY}",
    f"AWS_SECRET_ACCESS_KEY={CANARY}", f"AccountKey={CANARY};EndpointSuffix=x", f"{{'password': '{CANARY}'}}",
    f'{{"api_key": "{CANARY}", "a": 1}}', f"Authorization: Bearer {CANARY}", f"'Authorization': 'Basic {CANARY}'",
    f"CREATE USER me PASSWORD '{CANARY}'", f"IDENTIFIED BY '{CANARY}'", f"tool --password {CANARY}",
    f"tool --api-key={CANARY}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    f"in line 3\n  password: {CANARY}\n  ^", f"- api_key:  '{CANARY} x'  # mine\n", f"\tdb.pwd : {CANARY}\nport: 1",
])  # fmt: skip
def test_secrets_in_other_texts(text: str) -> None:
    for message in (text, f"the driver says: {text}", f"{text}\nTraceback"):
        assert CANARY not in redacted(message)


@pytest.mark.parametrize("text", [
    "postgresql://me@host:5432/db#t", "http://127.0.0.1:5000/#/experiments/1",
    "http://host.example:5000/models:/a@champion",
    "models:/adult@champion", "abfss://container@account.dfs.core/x", "sftp://me@host/x", "file:///a/b:c@d",
    "s3://b/a:b@c",
    "training.autoint.d_token=128", "training.lr=1e-3", 'password authentication failed for user "me"',
    "sqlite:////a/b@c.db",
    "postgresql://me:${PASSWORD}@host/db#t", "${DATABASE_URL}", "https://host/a?token=${TOKEN}",
    "https://${TOKEN}@host/a",
    "https://host/a.csv?v=1&format=csv", "no password supplied", "a token of 3 parts", "C:/data/people.csv",
    "a@b.example", "token: 12", "  token: Categorical", "password: must not be empty", "secrets:\n  a: 1",
    "password: ${DB_PASSWORD}",
])  # fmt: skip
def test_texts_without_secrets_stay(text: str) -> None:
    assert redacted(text) == redacted_uri(text) == text
    assert not has_secret(text)


def test_a_folder_of_a_partition_is_no_secret() -> None:
    assert not has_secret("s3://lake/token=5/a.parquet")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_taken(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@settings(max_examples=30)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8))
def test_values_of_the_environment_are_hidden_in_every_form(value: str) -> None:
    import html
    import json
    from urllib.parse import quote, quote_plus

    forms = (value, quote(value, safe=""), quote_plus(value), json.dumps(value), repr(value), html.escape(value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_PASSWORD", value)
        assert not [form for form in forms if value in redacted(f"<{form}>")]
        assert redacted_data({"a": [value, 3, None], value: (value,)}) == {"a": ["***", 3, None], "***": ("***",)}


@pytest.mark.parametrize("name", [
    "PGPASSWORD", "MYSQL_PWD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "PREFECT_API_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING", "PREFECT_API_AUTH_STRING",
])  # fmt: skip
def test_variables_whose_names_say_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, CANARY)
    assert redacted(f"it was {CANARY}!") == "it was ***!"


def test_uris_of_the_environment_are_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:Kanari3n%2Fv0gel@host/db")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:zweit3r")
    assert redacted("Kanari3n/v0gel, zweit3r and Kanari3n%2Fv0gel at host") == "***, *** and *** at host"


def test_a_password_that_is_a_word_leaves_other_words_alone() -> None:
    remember_secret("kiebitz")
    assert redacted("kiebitz kiebitze kiebitz@host") == "*** kiebitze ***@host"


@pytest.mark.parametrize("text", [
    "a://" * 25_000, "a" * 200_000, "password" * 20_000, "a://b:" * 20_000, "x-amz-" * 20_000, "password='" * 10_000,
    "-----BEGIN PRIVATE KEY-----" * 5_000, "authorization: basic " * 5_000, "--token " * 10_000,
], ids=lambda text: text[:12])  # fmt: skip
def test_hostile_texts_take_no_time(text: str) -> None:
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 2


def test_errors_pass_the_redactor() -> None:
    error = SetupError(f"http://me:{HARD}@host does not answer.", fix=f"Not password={CANARY}.")
    assert CANARY not in f"{error} {error!r}"


@pytest.mark.parametrize(("key", "value", "words"), [
    ("tracking.uri", f"postgresql://me:{HARD}@host/db", "PGPASSWORD"),
    ("tracking.uri", f"http://{CANARY}@host:5000", "MLFLOW_TRACKING_PASSWORD"),
    ("tracking.uri", f"postgresql://host/db?password={CANARY}", "MLFLOW_TRACKING_URI"),
    ("tracking.artifacts", f"s3://key:{CANARY}@bucket/models", "AWS_SECRET_ACCESS_KEY"),
    ("preprocess.dask_address", f"tcp://me:{CANARY}@host", r"\$\{NAME\}"),
    ("contract.path", f"https://host/c.yaml?sig={CANARY}", r"\$\{NAME\}"),
    ("data.na_values", [f"https://me:{CANARY}@host"], r"\$\{NAME\}"),
    ("tracking.uri", "postgresql://me:${PASSWORD}@host/db", "not put in there.*PGPASSWORD"),
])  # fmt: skip
def test_a_config_holds_no_secret(key: str, value: object, words: str, tmp_path) -> None:
    section, name = key.split(".")
    content = {"data": {"name": "sim"}}
    (tmp_path / "job.yaml").write_text("data: {name: sim}")
    for refused in (
        lambda: parse_config(content | {section: content.get(section, {}) | {name: value}}),
        lambda: load_config(tmp_path / "job.yaml", [f"{key}={value}"]),
    ):
        with pytest.raises(ConfigError, match=words) as raised:
            refused()
        assert CANARY not in str(raised.value)


def test_a_model_of_an_earlier_version_may_hold_one_and_still_loads() -> None:
    config = parse_stored({"data": {"name": "sim"}, "tracking": {"uri": f"postgresql://me:{HARD}@host/db"}}, "x")
    assert config.tracking.uri == "postgresql://me:***@host/db"


def test_data_of_many_texts_looks_for_secrets_of_the_environment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole environment is read for it, and the configuration of a run has hundreds of texts."""
    looks, look = list[int](), redaction._known_values
    # The real look, counted.
    monkeypatch.setattr(redaction, "_known_values", lambda: looks.append(1) or look())
    monkeypatch.setenv("STORE_PASSWORD", "sesame street")
    data = {"a": ["sesame street", {"sesame street": ("x", 1, None)}], "b": "password=abc"}
    assert redacted_data(data) == {"a": ["***", {"***": ("x", 1, None)}], "b": "password=***"}
    assert len(looks) == 1
