"""Primitives of the forward passes, each followed by its derivative, and the tape that plays them backwards."""
