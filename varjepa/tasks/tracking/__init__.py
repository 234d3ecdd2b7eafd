"""The tracking store: addresses, runs, locks, recovery of killed runs."""
