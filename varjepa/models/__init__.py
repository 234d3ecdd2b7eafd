"""Models: each infers posteriors, then generates priors and likelihoods, all as distributions."""
