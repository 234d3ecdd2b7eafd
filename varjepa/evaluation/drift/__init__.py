"""Two-sample tests and what they say of drift."""
