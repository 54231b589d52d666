"""Primitives of the forward passes. Their derivatives and the tape come with training."""
