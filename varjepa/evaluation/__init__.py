"""Evaluation: probes, selective prediction, calibration and diagnostics of the latents."""
