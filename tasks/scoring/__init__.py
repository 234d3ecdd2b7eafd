"""Score, impute and sample: one file, many files, streams."""
