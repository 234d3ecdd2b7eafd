"""Servers that people start: tracking UI, Prefect, PostgreSQL, a team's trial."""
