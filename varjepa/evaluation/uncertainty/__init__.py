"""Uncertainty and how good it is: calibration, certificates, intervals, selective metrics."""
