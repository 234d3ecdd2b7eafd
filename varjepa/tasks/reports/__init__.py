"""Pages and tables that reports consist of."""
