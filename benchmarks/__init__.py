"""Speed and memory, measured by hand: `make bench`, or `python -m benchmarks NAME...`."""
