"""`varjepa clean`: removes what nothing needs any more."""
