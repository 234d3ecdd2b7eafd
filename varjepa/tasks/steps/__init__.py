"""Shared by all steps: reuse of results, what a result depends on, retries, files."""
