"""Settings and credentials of object stores, all of them from the environment."""

import os
from pathlib import Path
from typing import Any

from varjepa.config.uris import scheme_of


def storage_options(address: str) -> dict[str, str]:
    """Settings for Polars and Delta: the endpoint of the environment."""
    if scheme_of(address) not in ("s3", "s3a"):
        return {}
    options = {"aws_allow_http": "true"} if plain_http() else {}
    if (server := endpoint()) is not None:
        options |= {"aws_endpoint_url": server, "aws_region": region()}
    return options


def endpoint() -> str | None:
    """Address of an object store that is not Amazon's, from the environment; None without one."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def region() -> str:
    """Region of the environment, or the usual one."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def plain_http() -> bool:
    """Whether the environment names a server without encryption."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AZURE_STORAGE_ENDPOINT")
    return any(os.environ.get(name, "").startswith("http://") for name in names)


def profile_credentials(root: str) -> Any:
    """Credentials of an AWS profile, which only boto3 reads; None where the environment holds some."""
    if scheme_of(root) not in ("s3", "s3a") or os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    if not (os.environ.get("AWS_PROFILE") or Path("~/.aws").expanduser().is_dir()):
        return None
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return None
    return Boto3CredentialProvider()
