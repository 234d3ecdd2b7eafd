"""Child processes, and which process owns what."""
