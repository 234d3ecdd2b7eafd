"""Encoded rows as tensors: tables, sizes, bars, shards."""
