"""The section about signatures of registered versions."""

from typing import Annotated

from pydantic import Field, field_validator

from varjepa.config.base import Section

KeyFile = Annotated[str, Field(min_length=1, max_length=4096)] | None


class SigningSection(Section):
    """Signatures of registered versions (docs/signing.md). Needs the extra `signing`. Keys stand in files only."""

    key_file: KeyFile = None
    """File with the private key that signs new versions: PEM, an elliptic curve (P-256, P-384, P-521). Its password, if
    any, stands in the environment variable VARJEPA_SIGNING_PASSWORD. The variable VARJEPA_SIGNING_KEY overrides it.
    null: versions are not signed."""
    trusted_keys: KeyFile = None
    """PEM file with one public key or several. Only models signed by one of them are loaded. The environment variable
    VARJEPA_TRUSTED_KEYS overrides it, and is what commands without a config read. null: signatures are not checked."""

    @field_validator("key_file", "trusted_keys")
    @classmethod
    def _is_a_path(cls, value: str | None) -> str | None:
        if value is not None and ("-----BEGIN" in value or "\n" in value):
            # The value may be a private key: the message must not repeat it.
            raise ValueError("signing.key_file and signing.trusted_keys name files; a key must not stand in a config")
        return value
