"""Encoding cells as numbers: features, preprocessor, encoded files."""
