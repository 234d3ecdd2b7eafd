"""The steps of the main flow, one file each, in its order."""
