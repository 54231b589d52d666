"""BART."""
