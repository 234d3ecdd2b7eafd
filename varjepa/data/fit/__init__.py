"""What is learned from training rows: statistics, vocabularies, knots."""
