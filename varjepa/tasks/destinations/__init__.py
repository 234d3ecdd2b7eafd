"""Writes tables wherever they belong: complete or not at all."""
