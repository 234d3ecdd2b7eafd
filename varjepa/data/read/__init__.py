"""Reading tables: sources, column profiles, contracts, splits."""
