"""Prefect runners, work side by side, flow runs."""
