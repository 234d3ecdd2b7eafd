"""The search for better settings, without a search library: what may change, and by what trials are compared."""
