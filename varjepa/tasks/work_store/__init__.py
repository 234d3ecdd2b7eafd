"""Results and checkpoints where other machines find them, and whose turn it is to make them."""
