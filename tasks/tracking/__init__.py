"""The tracking store: addresses, runs, locks, what killed runs left."""
