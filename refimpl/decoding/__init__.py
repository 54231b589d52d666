"""Decoding: the cache, one step, and the stop rule. Plain NumPy, the definition."""
