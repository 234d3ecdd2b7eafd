"""Diagnostics of latents and embeddings."""
