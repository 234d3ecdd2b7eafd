"""Prefect task runners, parallel maps, flow runs."""
