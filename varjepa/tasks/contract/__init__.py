"""Validates a table against its contract: Great Expectations over DuckDB, quarantine, and an HTML page."""
