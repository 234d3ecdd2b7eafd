"""The HTTP service of a registered model: `varjepa serve`."""
