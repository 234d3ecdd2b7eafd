"""Holds a table against its contract: Great Expectations over DuckDB, quarantine, and a page for people."""
