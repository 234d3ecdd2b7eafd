"""Servers that commands start: tracking UI, Prefect, PostgreSQL, servers for a team."""
