"""Embeddings of table rows, learned without labels, that say how sure they are (Var-T-JEPA)."""

__version__ = "0.1.0"
