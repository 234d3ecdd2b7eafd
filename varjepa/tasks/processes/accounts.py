"""Accounts in the URLs of servers: taken out of them once, so that no URL that is logged or stored holds a password."""

import os
from urllib.parse import unquote

from varjepa.redaction import account_of, remember_secret

TRACKING, ORCHESTRATION = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"


def adopt_accounts() -> None:
    """Moves the accounts of both servers' URLs into the variables that their clients read for them.

    `http://USER:PASSWORD@HOST` becomes `http://HOST` with `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or
    with `PREFECT_API_AUTH_STRING`; a token alone becomes `MLFLOW_TRACKING_TOKEN`. Variables that are set already stay.
    """
    user, password = _taken_out(TRACKING)
    if user and password:
        if not os.environ.get("MLFLOW_TRACKING_USERNAME"):
            os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
    elif user or password:
        os.environ.setdefault("MLFLOW_TRACKING_TOKEN", user or password)
    user, password = _taken_out(ORCHESTRATION)
    if user or password:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", f"{user}:{password}")


def _taken_out(variable: str) -> tuple[str, str]:
    """User and password of the URL in a variable of the environment, which is left without them; empty if none."""
    url = os.environ.get(variable, "")
    account = account_of(url) if url.lower().startswith(("http://", "https://")) else None
    if account is None:
        return "", ""
    os.environ[variable] = account.bare
    for secret in (account.user, account.password) if not account.password else (account.password,):
        remember_secret(secret)
        remember_secret(unquote(secret))
    return unquote(account.user), unquote(account.password)
