"""Compact vectors of rows, and the search for rows that are near each other."""
