"""Pairs of keys for signatures, made anew for every run of the tests."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

PASSWORD = "Kanari3n-pa55"


def write_keys(folder: Path, name: str, *, password: str | None = None, curve: ec.EllipticCurve | None = None) -> None:
    """Writes NAME.pem and NAME.pub into a folder."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    (folder / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
