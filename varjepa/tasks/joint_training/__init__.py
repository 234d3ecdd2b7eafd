"""Processes that train one network together: on one machine, or on several that share a work store."""
