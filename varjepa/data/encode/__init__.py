"""Cells as numbers: features, encoding, encoded files."""
