"""Layers: tensors in, tensors or distributions out; no data frames, no input or output."""
