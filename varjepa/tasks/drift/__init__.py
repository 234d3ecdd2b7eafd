"""Compare new rows with a model's reference, record and report it."""
