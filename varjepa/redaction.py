"""Hides secrets in texts. The one redactor of the project: every log, error, tag, page and file goes through it.

A secret is recognised by its form (the account in a URI, `password=...`, a header of a request), or by its value: that
of a variable of the environment whose name says so, and whatever was handed to `remember_secret` in this process.
"""

import html
import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

VARIABLE = re.compile(r"\$\{(\w+)\}")
"""A variable of the environment in an address, as in `${DATABASE_URL}`. It is no secret."""

SHORTEST = 4
"""Shorter values are hidden by their form only: they would be found in every text."""

_WORD = (
    r"pass(?:word|wd|phrase)|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|api[_-]?key|access[_-]?key|account[_-]?key|"
    r"private[_-]?key|credentials?|sig|signature"
)
# Not d_token, a size of AutoInt.
_NAME = rf"(?:x-(?:amz|goog)-[\w-]{{1,40}}|(?!(?:[\w-]+\.){{0,9}}d_token\b)[\w.-]{{0,40}}(?:{_WORD}))"
_PLAIN = r"[^\s&'\"<>`*][^\s&'\"<>`]*"
_VALUE = r"'(?:[^'\\]|\\.|''){0,400}'|\"(?:[^\"\\]|\\.){0,400}\"|\{[^}]{0,400}\}|" + _PLAIN
_FROM_ENVIRONMENT = r"(?!\$\{\w+\}(?:[\s&;,#]|\Z))"
_ASSIGNED = re.compile(rf"(?<![\w-])({_NAME}(?:\s?=\s?|%3D)){_FROM_ENVIRONMENT}(?:{_VALUE})", re.IGNORECASE)
_IN_QUERY = re.compile(rf"([?&](?:key|auth|jwt|code|sas)=){_FROM_ENVIRONMENT}{_PLAIN}", re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|digest|token)\s+)[^\s\"',]+", re.IGNORECASE
)
_IN_MAPPING = re.compile(
    rf"([\"']{_NAME}[\"']\s*:\s*)(?:'(?:[^'\\]|\\.){{1,400}}'|\"(?:[^\"\\]|\\.){{1,400}}\")", re.IGNORECASE
)
# The end of a line of YAML, as readers quote it in their errors. Not `token: 12`, which may be a column.
_IN_YAML = re.compile(
    r"(?<![\w-])([\w.-]{0,40}(?:pass(?:word|wd|phrase)|pwd|secret|(?:api|access|account|private)[_-]?key)"
    rf"[ \t]*:[ \t]+){_FROM_ENVIRONMENT}(?:{_VALUE})(?=[ \t]*(?:#.*)?$)", re.IGNORECASE | re.MULTILINE
)  # fmt: skip
_IN_SQL = re.compile(r"\b((?:password|identified\s+by)\s+)'(?:[^'\\]|\\.|''){1,400}'", re.IGNORECASE)
_OPTION = re.compile(rf"(--{_NAME}\s+)(?!-)\S+", re.IGNORECASE)
_KEY_FILE = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_FORMS = {
    _KEY_FILE: rf"\1{HIDDEN}", _HEADER: rf"\1{HIDDEN}", _ASSIGNED: rf"\1{HIDDEN}", _IN_QUERY: rf"\1{HIDDEN}",
    _IN_MAPPING: rf'\1"{HIDDEN}"', _IN_YAML: rf"\1{HIDDEN}", _IN_SQL: rf"\1'{HIDDEN}'", _OPTION: rf"\1{HIDDEN}",
}  # fmt: skip
"""What a secret may look like -> what stands in its place. Repetitions are bounded: texts of strangers come here."""

_SCHEME = r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,30})://"
_IN_TEXT = re.compile(rf"{_SCHEME}([^\s/?#:@\"'`<>]{{0,200}})(?::([^\s\"'`<>]{{0,400}}))?@")
_WHOLE = re.compile(rf"{_SCHEME}([^/?#:@]*)(?::(.*))?@(?=[^@]*\Z)", re.DOTALL)
_PORT = re.compile(r"\d{1,5}(?=[/?#])")
_HOST = re.compile(r"localhost|[\w-]+(?:\.[\w-]+)+|\[[0-9a-f:.]+\]", re.IGNORECASE)
_WEB = ("http", "https")
_OF_OTHERS = ("delta", "iceberg")
"""Schemes that are followed by another URI."""

_SECRET_VARIABLE = re.compile(rf"(?:{_WORD}|auth_string)$|^sas_|_sas$|connection_string$", re.IGNORECASE)
_NO_SECRETS = {"PWD", "OLDPWD"}
"""The working folders of a shell."""

_remembered: set[str] = set()


def remember_secret(value: str) -> None:
    """Hides a value from now on in whatever this process writes, in plain and in encoded form."""
    if len(value) >= SHORTEST and value != HIDDEN:
        _remembered.add(value)


def redacted(text: str) -> str:
    """The text without secrets.

    Args:
        text: of any length; URIs may stand in the middle.

    Examples:
        >>> redacted("cannot connect to postgresql://me:se/s@me@host/db, retrying")
        'cannot connect to postgresql://me:***@host/db, retrying'
        >>> redacted("host=db password='se same' user=me")
        'host=db password=*** user=me'
        >>> redacted("GET https://host/a.csv?X-Amz-Signature=abc&v=1")
        'GET https://host/a.csv?X-Amz-Signature=***&v=1'
    """
    return _redacted(text, _known_values())


def _redacted(text: str, values: frozenset[str]) -> str:
    if values:
        text = _pattern_of(values).sub(HIDDEN, text)
    return _by_form(_IN_TEXT, text)


def redacted_uri(uri: str) -> str:
    """The same for a text that is a URI as a whole: its password may contain any character, even a blank.

    Examples:
        >>> redacted_uri("postgresql://me:sec ret@host/db#orders")
        'postgresql://me:***@host/db#orders'
        >>> redacted_uri("https://host/people.csv?sig=abc&v=1")
        'https://host/people.csv?sig=***&v=1'
        >>> redacted_uri("https://token@host/people.csv"), redacted_uri("abfss://container@account/people.csv")
        ('https://***@host/people.csv', 'abfss://container@account/people.csv')
    """
    return redacted(_by_form(_WHOLE, uri))


def redacted_data(value: Any) -> Any:
    """Plain data (mappings, lists, texts, numbers) with every text in it redacted."""
    return _redacted_data(value, _known_values())


def _redacted_data(value: Any, values: frozenset[str]) -> Any:
    """The same with secrets that were looked up once: a configuration has hundreds of texts."""
    if isinstance(value, str):
        return _redacted(value, values)
    if isinstance(value, Mapping):
        return {_redacted_data(key, values): _redacted_data(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_redacted_data(item, values) for item in value) if type(value) in (list, tuple) else value
    return value


def has_secret(uri: str) -> bool:
    """Whether an account, a token or a signature is written out in a URI, and not taken from the environment.

    Examples:
        >>> has_secret("postgresql://me:secret@host/db"), has_secret("postgresql://me:${PASSWORD}@host/db")
        (True, False)
        >>> has_secret("http://host:5000"), has_secret("http://token@host:5000"), has_secret("s3://lake/token=5/a.csv")
        (False, True, False)
    """
    # What stands before the query is a path, and a folder of a partitioned table may be called `token=5`.
    place, mark, query = _WHOLE.sub(_account, uri).partition("?")
    return "://" in uri and place + _by_form(_IN_TEXT, mark + query) != uri


class Account(NamedTuple):
    """The account in a URI, as it stands there, and the URI without it."""

    bare: str
    user: str
    password: str


def account_of(uri: str) -> Account | None:
    """The account before the host of a URI; None if there is none.

    Examples:
        >>> account_of("http://me:se/s@me@host:5000/api")
        Account(bare='http://host:5000/api', user='me', password='se/s@me')
    """
    match = _WHOLE.match(uri)
    if match is None or (match[3] and _HOST.fullmatch(match[2]) and _PORT.match(match[3])):
        return None
    return Account(f"{match[1]}://{uri[match.end() :]}", match[2], match[3] or "")


def secrets_of(uri: str) -> tuple[str, ...]:
    """The secrets in a URI, as they stand there and decoded: its password, secret values of its query.

    Examples:
        >>> secrets_of("postgresql://me:a%2Fb@host/db?password=sesame")
        ('a%2Fb', 'sesame', 'a/b')
    """
    scheme, _, inner = uri.partition("://")
    if scheme in _OF_OTHERS:
        return secrets_of(inner)
    found = [match[3] or match[2] for match in _WHOLE.finditer(uri) if _account(match) != match[0]]
    rest = _WHOLE.sub(_account, uri)
    for form in (_ASSIGNED, _IN_QUERY):
        found += [match[0].removeprefix(match[1]).strip("'\"{}") for match in form.finditer(rest)]
    return tuple(dict.fromkeys(part for part in [*found, *map(unquote, found)] if part))


def _by_form(uris: re.Pattern[str], text: str) -> str:
    if "://" in text:
        text = uris.sub(_account, text)
    for form, replacement in _FORMS.items():
        text = form.sub(replacement, text)
    return text


def _account(match: re.Match[str]) -> str:
    """The beginning of a URI with its account hidden, where that is a secret."""
    scheme, user, password = match[1], match[2], match[3]
    web = scheme.lower() in _WEB
    if scheme.lower() in _OF_OTHERS:  # what follows is a URI of its own
        inner = match[0][len(scheme) + 3 :]
        return f"{scheme}://" + (_by_form(_IN_TEXT, inner) if "://" in inner else inner)
    if not password:
        is_token = web and user and not VARIABLE.fullmatch(user)
        return f"{scheme}://{HIDDEN}@" if is_token else match[0]
    if VARIABLE.fullmatch(password) or (_HOST.fullmatch(user) and _PORT.match(password)):
        return match[0]
    return f"{scheme}://{HIDDEN}@" if web else f"{scheme}://{user}:{HIDDEN}@"


def _known_values() -> frozenset[str]:
    """What this process remembers, and what its environment holds."""
    values = set(_remembered)
    for name, value in os.environ.items():
        values.update(_values_of(name, value))
    return frozenset(value for value in values if len(value) >= SHORTEST and not VARIABLE.fullmatch(value))


@lru_cache(maxsize=1024)
def _values_of(name: str, value: str) -> tuple[str, ...]:
    """The secrets in a variable of the environment. They are asked for with every text, and nearly always the same."""
    values: tuple[str, ...] = ()
    if _SECRET_VARIABLE.search(name) and name.upper() not in _NO_SECRETS:
        values += (value, *value.partition(":")[2:])  # USER:PASSWORD, as in PREFECT_API_AUTH_STRING
    return values + secrets_of(value) if "://" in value else values


@lru_cache(maxsize=4)
def _pattern_of(values: frozenset[str]) -> re.Pattern[str]:
    """Finds the values, and the forms that they take in URIs, JSON, tracebacks and pages."""
    forms = {form for value in values for form in _forms_of(value)}
    return re.compile("|".join(map(_whole_word, sorted(forms, key=len, reverse=True))))


def _forms_of(value: str) -> set[str]:
    written = {value, unquote(value), json.dumps(value)[1:-1], repr(value)[1:-1], html.escape(value)}
    data = value.encode(errors="replace")
    encoded = {quote(data, safe=""), quote(data), quote_plus(data)}
    return {form for form in written | encoded if len(form) >= SHORTEST}


def _whole_word(value: str) -> str:
    # A password may be an ordinary word, such as "postgres", which is part of other words.
    ordinary = value.isalnum() and len(value) < 12
    return rf"(?<![^\W_]){re.escape(value)}(?![^\W_])" if ordinary else re.escape(value)
