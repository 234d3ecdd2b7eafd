"""Training: the loop, its optimiser and its checkpoints. Needs torch, numpy and the configuration only."""
