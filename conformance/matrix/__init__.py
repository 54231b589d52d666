"""The published matrix: each implementation by each clause, made by `python -m conformance matrix`."""
