"""Signatures of model folders, by keys of the user; the form is that of the package model-signing (Sigstore)."""
