"""The model registry: history of champions, versions, opening and promoting models."""
