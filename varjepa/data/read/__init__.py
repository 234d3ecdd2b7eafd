"""Tables as they come: sources, column profiles, contracts, splits."""
