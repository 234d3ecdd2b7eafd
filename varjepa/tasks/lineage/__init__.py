"""OpenLineage: which tables and models a run has read and written."""
