"""Fitting to training rows: statistics, vocabularies, knots."""
