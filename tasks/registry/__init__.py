"""The model registry: champions, versions, opening and promoting models."""
